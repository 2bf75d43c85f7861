//! A process that enqueues in every way there is, and writes down every answer.

use crate::Result;
use crate::kind::Kind;
use crate::log::{Log, now};
use futures_util::future::join_all;
use lavoro_core::{Backoff, ConnectOptions, JobHandle, Lavoro, NewJob};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many unique keys all producers share.
const KEYS: u32 = 40;

struct Producer {
    lavoro: Lavoro,
    pool: PgPool,
    log: Log,
    random: StdRng,
    count: u64,
    poison: f64,
}

/// A job that is about to be sent.
struct Draft {
    kind: Kind,
    mark: String,
    key: Option<String>,
    delay: u64,
}

/// Enqueues until its standard input ends.
///
/// # Errors
/// If the ledger cannot be opened.
pub async fn produce(url: &str, dir: &Path, seed: u64, pace: u64) -> Result<()> {
    let stop = stop_with_stdin();
    let pid = std::process::id();
    let log = Log::open(dir, &format!("producer-{pid}"))?;
    let Some(lavoro) = connect(url, &stop).await else { return Ok(()) };
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(url)?;
    let random = StdRng::seed_from_u64(seed);
    // A poison job kills three processes and drags their jobs along: about one in 100 seconds.
    let poison = 0.01 / pace as f64;
    let mut producer = Producer { lavoro, pool, log, random, count: 0, poison };
    let began = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        sent += producer.step().await;
        let due = began + Duration::from_micros(sent * 1_000_000 / pace.max(1));
        tokio::time::sleep_until(due.into()).await;
    }
    Ok(())
}

/// Connects however long the database is away.
pub(crate) async fn connect(url: &str, stop: &AtomicBool) -> Option<Lavoro> {
    while !stop.load(Ordering::SeqCst) {
        let options = ConnectOptions {
            statement_timeout: Duration::from_secs(5),
            enqueue_timeout: Duration::from_secs(10),
            warn_unhandled: false,
            ..ConnectOptions::url(url)
        };
        match Lavoro::connect_with(options).await {
            Ok(lavoro) => return Some(lavoro),
            Err(error) => eprintln!("not connected yet: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

/// Raised when the supervisor closes our standard input, or dies.
pub(crate) fn stop_with_stdin() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        raised.store(true, Ordering::SeqCst);
        // Whoever cannot stop in time is of no use any more.
        std::thread::sleep(Duration::from_mins(2));
        std::process::exit(5);
    });
    stop
}

impl Producer {
    /// Enqueues once, in one of the ways. Answers how many jobs that were.
    async fn step(&mut self) -> u64 {
        match self.random.random_range(0..6_u8) {
            0 => self.single(1, false).await,
            1 => self.single(20, false).await,
            2 => self.bulk().await,
            3 => self.single(1, true).await,
            4 => self.transaction().await,
            _ => self.plain_sql().await,
        }
    }

    fn kind(&mut self) -> Kind {
        if self.random.random_bool(self.poison.min(0.01)) {
            return Kind::Poison;
        }
        match self.random.random_range(0..200_u8) {
            0 => Kind::Slow,
            1..=9 => Kind::Failing,
            10..=13 => Kind::Doomed,
            14..=21 => Kind::Snoozing,
            22..=45 => Kind::Transactional,
            46..=55 => Kind::Storm,
            _ => Kind::Quick,
        }
    }

    fn draft(&mut self, keyed: bool) -> Draft {
        self.count += 1;
        let mark = format!("{}.{}", std::process::id(), self.count);
        let mut kind = self.kind();
        let key = keyed.then(|| format!("key{}", self.random.random_range(0..KEYS)));
        if keyed {
            kind = Kind::Quick;
        }
        let delay = if kind == Kind::Storm { self.random.random_range(0..4000) } else { 0 };
        self.log.line(format_args!("try {kind} {mark} {}", now()));
        Draft { kind, mark, key, delay }
    }

    fn acknowledged(&self, mark: &str, id: i64, new: bool) {
        self.log.line(format_args!("ack {mark} {id} {new} {}", now()));
    }

    fn maybe(&self, mark: &str, error: &dyn std::fmt::Display) {
        self.log.line(format_args!("maybe {mark} {}", now()));
        eprintln!("maybe {mark}: {error}");
    }

    fn answer(&self, mark: &str, answer: &lavoro_core::Result<JobHandle>) {
        match answer {
            Ok(job) => self.acknowledged(mark, job.id(), job.is_new()),
            Err(error) => self.maybe(mark, error),
        }
    }

    /// Calls that run at the same time share a commit.
    async fn single(&mut self, count: usize, keyed: bool) -> u64 {
        let drafts: Vec<Draft> = (0..count).map(|_| self.draft(keyed)).collect();
        let this = &*self;
        join_all(drafts.iter().map(|draft| async move {
            let answer = this.lavoro.enqueue(draft.job()).await;
            this.answer(&draft.mark, &answer);
        }))
        .await;
        count as u64
    }

    async fn bulk(&mut self) -> u64 {
        let count = self.random.random_range(2..60);
        let drafts: Vec<Draft> = (0..count).map(|_| self.draft(false)).collect();
        match self.lavoro.enqueue_many(drafts.iter().map(Draft::job)).await {
            Ok(jobs) => {
                for (draft, job) in drafts.iter().zip(jobs) {
                    self.acknowledged(&draft.mark, job.id(), job.is_new());
                }
            }
            Err(error) => drafts.iter().for_each(|draft| self.maybe(&draft.mark, &error)),
        }
        count
    }

    /// Two jobs in a transaction of our own, which is rolled back now and then.
    async fn transaction(&mut self) -> u64 {
        let keyed = self.random.random_ratio(1, 8);
        let drafts = [self.draft(keyed), self.draft(false)];
        let undo = self.random.random_ratio(1, 5);
        let sent =
            tokio::time::timeout(Duration::from_secs(10), self.in_transaction(&drafts, undo));
        match sent.await.unwrap_or_else(|late| Err(late.into())) {
            Ok(_) if undo => {
                for draft in &drafts {
                    self.log.line(format_args!("undone {} {}", draft.mark, now()));
                }
            }
            Ok(jobs) => {
                for (draft, job) in drafts.iter().zip(jobs) {
                    self.acknowledged(&draft.mark, job.id(), job.is_new());
                }
            }
            Err(error) => drafts.iter().for_each(|draft| self.maybe(&draft.mark, &error)),
        }
        2
    }

    async fn in_transaction(&self, drafts: &[Draft], undo: bool) -> Result<Vec<JobHandle>> {
        let mut transaction = self.pool.begin().await?;
        let mut jobs = Vec::new();
        for draft in drafts {
            jobs.push(self.lavoro.enqueue_in(&mut transaction, draft.job()).await?);
        }
        if undo {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(jobs)
    }

    async fn plain_sql(&mut self) -> u64 {
        let draft = self.draft(false);
        let sql = "select lavoro.enqueue($1, $2, delay => make_interval(secs => $3),
                          max_attempts => $4, backoff => $5, on_discarded => $6)";
        let call = sqlx::query_scalar::<_, i64>(sql)
            .bind(draft.kind.as_str())
            .bind(draft.payload())
            .bind(draft.delay as f64 / 1000.0)
            .bind(draft.attempts().cast_signed())
            .bind(
                json!({"kind": "fixed", "base_ms": BACKOFF_MS, "max_ms": BACKOFF_MS, "jitter": 0}),
            )
            .bind((draft.kind == Kind::Doomed).then_some("follow"))
            .fetch_one(&self.pool);
        match tokio::time::timeout(Duration::from_secs(10), call).await {
            Ok(Ok(id)) => self.acknowledged(&draft.mark, id, true),
            Ok(Err(error)) => self.maybe(&draft.mark, &error),
            Err(late) => self.maybe(&draft.mark, &late),
        }
        1
    }
}

/// How long a failed job waits.
const BACKOFF_MS: u64 = 50;

impl Draft {
    /// Enough that faults alone never discard a job.
    fn attempts(&self) -> u32 {
        match self.kind {
            Kind::Doomed => 3,
            Kind::Poison => 2,
            _ => 1000,
        }
    }

    fn payload(&self) -> Value {
        json!({ "mark": self.mark })
    }

    fn job(&self) -> NewJob {
        let mut job = NewJob::new(self.kind.as_str(), self.payload())
            .max_attempts(self.attempts())
            .backoff(Backoff::fixed(Duration::from_millis(BACKOFF_MS)));
        if self.delay > 0 {
            job = job.delay(Duration::from_millis(self.delay));
        }
        if let Some(key) = &self.key {
            job = job.unique_key(key);
        }
        if self.kind == Kind::Doomed {
            job = job.on_discarded(Kind::Follow.as_str());
        }
        job
    }
}
