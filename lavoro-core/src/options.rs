//! Options of clients and workers, checked once where they are taken.

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::retry::Backoff;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// How a program connects.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Where the database is: `postgres://…`, `embedded:` or `memory:`. Default: the first of
    /// `LAVORO_DATABASE_URL`, `DATABASE_URL`, and `embedded:` with a warning.
    pub url: Option<String>,
    /// The schema that holds Lavoro's tables. Default: `LAVORO_SCHEMA`, else `lavoro`.
    pub schema: Option<String>,
    /// How many connections the pool may open, 1 to 100. Default: 4.
    pub pool_size: u32,
    /// Whether a pooler in transaction mode (PgBouncer) lies between: every statement then runs
    /// unnamed in a transaction of its own, which is slower. Default: false.
    pub transaction_pooler: bool,
    /// Whether this client promotes, rescues and prunes like a worker does. Default: false.
    pub maintenance: bool,
    /// Whether to create or upgrade the schema on connecting. Default: false, except on
    /// `embedded:` and `memory:`.
    pub migrate: Option<bool>,
    /// Whether to log a warning when jobs are enqueued that no live worker handles. Default: true.
    pub warn_unhandled: bool,
    /// How long an enqueue is tried again while the database cannot be reached. Default: 30 s.
    pub enqueue_timeout: Duration,
    /// How long to wait for one statement. Default: 30 s.
    pub statement_timeout: Duration,
    /// Timing of the maintenance that this client does.
    pub timing: Timing,
}

impl std::fmt::Debug for ConnectOptions {
    /// Leaves out the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("maintenance", &self.maintenance)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            url: None,
            schema: None,
            pool_size: 4,
            transaction_pooler: false,
            maintenance: false,
            migrate: None,
            warn_unhandled: true,
            enqueue_timeout: Duration::from_secs(30),
            statement_timeout: Duration::from_secs(30),
            timing: Timing::default(),
        }
    }
}

impl ConnectOptions {
    /// The defaults with this URL.
    pub fn url(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        limits::check_range("pool_size", &self.pool_size, &(1..=100))?;
        let waits = Duration::from_millis(100)..=Duration::from_hours(1);
        limits::check_range("enqueue_timeout", &self.enqueue_timeout, &waits)?;
        limits::check_range("statement_timeout", &self.statement_timeout, &waits)?;
        if let Some(schema) = &self.schema {
            check_schema(schema)?;
        }
        self.timing.check()
    }
}

/// Checks a schema's name.
pub(crate) fn check_schema(schema: &str) -> Result<()> {
    let bad = schema.is_empty()
        || schema.len() > limits::SCHEMA_BYTES
        || schema.chars().any(char::is_control)
        || schema.contains("$$") // would end the bodies of our functions
        || schema.starts_with("pg_");
    if !bad {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidOption,
        format!(
            "schema is {schema:?}: it takes 1 to {} bytes without control characters or $$, not \
             starting with pg_",
            limits::SCHEMA_BYTES
        ),
    ))
}

/// The clockwork of leases and maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a worker shows that it lives. Default: 3 s.
    pub heartbeat: Duration,
    /// How long a silent worker keeps its jobs. Default: 15 s. At least four heartbeats.
    pub lease: Duration,
    /// How often the silent are looked for. Default: 1 s.
    pub scan: Duration,
    /// How often an idle worker looks for jobs, and maintenance for due ones. Default: 200 ms,
    /// which bounds the pick-up of jobs that come without a hint.
    pub poll: Duration,
    /// How often ended jobs are pruned that have been kept long enough. Default: 60 s.
    pub prune: Duration,
    /// How often a worker records what it has done, for statistics. Default: 10 s.
    pub tally: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(3),
            lease: Duration::from_secs(15),
            scan: Duration::from_secs(1),
            poll: Duration::from_millis(200),
            prune: Duration::from_mins(1),
            tally: Duration::from_secs(10),
        }
    }
}

impl Timing {
    pub(crate) fn check(&self) -> Result<()> {
        let long = Duration::from_hours(24);
        let tick = Duration::from_millis(10);
        limits::check_range("heartbeat", &self.heartbeat, &(tick..=long))?;
        limits::check_range("lease", &self.lease, &(4 * self.heartbeat..=long))?;
        limits::check_range("scan", &self.scan, &(tick..=long))?;
        limits::check_range("poll", &self.poll, &(tick..=long))?;
        limits::check_range("prune", &self.prune, &(tick..=long))?;
        limits::check_range("tally", &self.tally, &(tick..=long))
    }

    /// After how long without contact a worker gives its jobs up: 4/5 of a lease.
    pub(crate) fn fence(&self) -> Duration {
        self.lease * 4 / 5
    }
}

/// What a worker does with a running handler when it has lost contact for nearly a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnLostContact {
    /// Tell it to stop; the attempt is not counted.
    #[default]
    Cancel,
    /// Let it run on. Another worker may run the job meanwhile; only one outcome is accepted.
    Continue,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The worker's name in listings. Default: `host:pid`.
    pub name: Option<String>,
    /// The queues it serves, each with how many of its jobs may run here at once. A name that
    /// ends in `*` stands for all queues that begin alike and have no entry of their own: these
    /// share its slots evenly. Default: `default` with 10.
    pub queues: BTreeMap<String, QueueOptions>,
    /// How many jobs may run here at once over all queues. Default: the sum of the queues'.
    pub concurrency: Option<u32>,
    /// The tasks it has handlers for: it claims no others.
    pub tasks: Vec<String>,
    /// The tasks whose handlers run on when contact is lost.
    pub continue_on_lost_contact: Vec<String>,
    /// How long failed jobs of a task wait, unless their handler or the job itself says how long.
    /// Default: [`Backoff::default`].
    pub backoff: HashMap<String, Backoff>,
    /// How long running handlers may go on when the limit of a stop is reached, from 0 to 24
    /// hours: they are told ([`StopReason::Shutdown`](crate::StopReason::Shutdown)), and if they
    /// complete in this time it counts; only then are their jobs handed back. Default: zero.
    pub grace: Duration,
    /// The language of its handlers, for listings. Default: `rust`.
    pub language: String,
    /// The clockwork of its leases.
    pub timing: Timing,
    /// Whether it promotes, rescues and prunes beside its work. Default: true.
    pub maintenance: bool,
    /// Where to answer `GET /health` (200 or 503, JSON) and `GET /metrics` (`OpenMetrics` text).
    /// There is no authentication: name 127.0.0.1, or an address behind a network policy. Port 0
    /// takes a free port. Default: nowhere.
    pub listen: Option<SocketAddr>,
    /// How long handlers may run on after their attempts are over (timed out, or their lease
    /// lost) before they count as stuck. When every slot holds a stuck one, the worker can do
    /// nothing more: it claims no more jobs and says so. From 1 ms to 1 day. Default: 60 s.
    pub stuck_after: Duration,
}

/// How a worker serves a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueOptions {
    /// How many of its jobs may run in this worker at once, from 1 to 10 000.
    pub concurrency: u32,
    /// Its share of the worker's slots where they do not suffice for all queues: one of weight
    /// 3 gets three times as many as one of weight 1. From 1 to 1000. Default: 1.
    pub weight: u32,
}

impl From<u32> for QueueOptions {
    /// This concurrency, with weight 1.
    fn from(concurrency: u32) -> Self {
        Self { concurrency, weight: 1 }
    }
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: None,
            queues: BTreeMap::from([(crate::job::DEFAULT_QUEUE.to_owned(), 10.into())]),
            concurrency: None,
            tasks: Vec::new(),
            continue_on_lost_contact: Vec::new(),
            backoff: HashMap::new(),
            grace: Duration::ZERO,
            language: "rust".to_owned(),
            timing: Timing::default(),
            maintenance: true,
            stuck_after: Duration::from_mins(1),
            listen: None,
        }
    }
}

impl WorkerOptions {
    pub(crate) fn check(&self) -> Result<()> {
        if self.queues.is_empty() {
            return Err(Error::new(ErrorKind::InvalidOption, "a worker needs at least one queue"));
        }
        for (queue, options) in &self.queues {
            limits::check_queue(queue)?;
            let field = format!("concurrency of queue {queue:?}");
            limits::check_range(&field, &options.concurrency, &limits::CONCURRENCY)?;
            let field = format!("weight of queue {queue:?}");
            limits::check_range(&field, &options.weight, &limits::WEIGHT)?;
        }
        let stuck = Duration::from_millis(1)..=Duration::from_hours(24);
        limits::check_range("stuck_after", &self.stuck_after, &stuck)?;
        if let Some(concurrency) = &self.concurrency {
            limits::check_range("concurrency", concurrency, &limits::CONCURRENCY)?;
        }
        if self.tasks.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidOption,
                "a worker needs at least one handler: it claims only tasks it has handlers for",
            ));
        }
        self.tasks.iter().try_for_each(|task| limits::check_task(task))?;
        self.check_backoff()?;
        limits::check_range("grace", &self.grace, &(Duration::ZERO..=Duration::from_hours(24)))?;
        self.timing.check()
    }

    fn check_backoff(&self) -> Result<()> {
        for (task, backoff) in &self.backoff {
            if !self.tasks.contains(task) {
                return Err(Error::new(
                    ErrorKind::InvalidOption,
                    format!("backoff names task {task:?}, which has no handler"),
                ));
            }
            backoff.check().map_err(|error| {
                Error::new(error.kind(), format!("task {task:?}: {}", error.message()))
            })?;
        }
        Ok(())
    }
}
