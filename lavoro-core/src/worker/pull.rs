//! The pull interface: what bindings, and the Rust worker itself, are built on.

use super::board::{Board, Report as Judged};
use super::cancel::Cancels;
use super::deadline::Deadlines;
use super::events::EventStream;
use super::fetch::Fetcher;
use super::finisher::{Finisher, Report};
use super::health::{Health, Observer};
use super::heartbeat::{Heartbeat, Pulse};
use super::http::Listener;
use super::notebook::{Clerks, Notebook};
use super::serving::Serving;
use super::stuck::StuckWatch;
use super::tally::Flusher;
use super::wake::{Ear, Hints};
use crate::client::Lavoro;
use crate::error::Result;
use crate::job::{Job, JobId};
use crate::maintenance::Maintenance;
use crate::options::WorkerOptions;
use crate::outcome::{Outcome, Verdict};
use crate::runtime::Runtime;
use crate::service::Service;
use crate::store::{Registration, Store};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a stopping worker tries to record its last outcomes, and its end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What a handler made of its job.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The job's number.
    pub job: JobId,
    /// The token that the job was handed out under.
    pub token: Uuid,
    /// What the handler says.
    pub outcome: Outcome,
}

/// A worker without handlers: a program asks for jobs, runs them in its own way, and reports
/// their outcomes. Leases, heartbeats, claims and completions live on Lavoro's own threads.
///
/// Usable from any thread and any async executor.
#[derive(Debug)]
pub struct PullWorker {
    lavoro: Lavoro,
    runtime: Arc<Runtime>,
    store: Arc<Store>,
    board: Arc<Board>,
    notebook: Arc<Notebook>,
    worker: Arc<AtomicI64>,
    reports: Mutex<Option<mpsc::UnboundedSender<Report>>>,
    stop: CancellationToken,
    observer: Observer,
    address: Option<SocketAddr>,
    grace: Duration,
    parts: tokio::sync::Mutex<Option<Parts>>,
}

/// What runs in the background, in the order in which it is ended.
#[derive(Debug)]
struct Parts {
    fetcher: JoinHandle<()>,
    services: Vec<Service>,
    maintenance: Option<Maintenance>,
    finisher: Finisher,
    clerks: Clerks,
    heartbeat: Heartbeat,
}

impl PullWorker {
    /// Registers the worker and starts claiming.
    ///
    /// # Errors
    /// `invalid_option`, `invalid_queue`, `invalid_task`, or what is wrong with the database.
    pub async fn start(lavoro: &Lavoro, options: WorkerOptions) -> Result<Self> {
        options.check()?;
        let lavoro = lavoro.clone();
        let lent = lavoro.clone();
        lavoro.run(async move { Self::open(lent, &options).await }).await
    }

    async fn open(lavoro: Lavoro, options: &WorkerOptions) -> Result<Self> {
        let (runtime, store) = (Arc::clone(lavoro.runtime()), Arc::clone(lavoro.store()));
        let handle = runtime.handle().clone();
        let registration = registration(options);
        let listener = Listener::bind(options.listen).await?;
        let worker = Arc::new(AtomicI64::new(store.start_worker(&registration).await?));
        let serving = Arc::new(Serving::new(&options.queues));
        let board = Arc::new(Board::new(options, Arc::clone(&serving)));
        let (notebook, clerks) = Notebook::start(&handle, &store);
        let observer = Observer::new(&board, &worker, options.timing.fence());
        let finisher = Finisher::start(&handle, &store, &observer, &notebook);
        let reports = finisher.sender();
        let heartbeat = Heartbeat::start(Pulse {
            store: Arc::clone(&store),
            board: Arc::clone(&board),
            registration,
            worker: Arc::clone(&worker),
            timing: options.timing,
            reports: reports.downgrade(),
            contact: Arc::clone(&observer.contact),
        })?;
        let hints = Arc::new(Hints::new(Arc::clone(&serving)));
        let services = services(&handle, &store, &observer, &hints, &reports, options);
        let maintenance = options
            .maintenance
            .then(|| Maintenance::start(&handle, &store, options.timing, &hints.heard));
        let fetcher = Fetcher {
            store: Arc::clone(&store),
            board: Arc::clone(&board),
            serving,
            hints,
            reports: reports.downgrade(),
            events: Arc::clone(&observer.events),
            worker: Arc::clone(&worker),
            tasks: options.tasks.clone().into(),
            timing: options.timing,
            stop: observer.stop.clone(),
        };
        let fetcher = handle.spawn(fetcher.run());
        let address = listener.map(|listener| listener.serve(&handle, observer.clone()));
        let parts = Parts { fetcher, services, maintenance, finisher, clerks, heartbeat };
        Ok(Self {
            lavoro,
            runtime,
            store,
            board,
            notebook,
            worker,
            reports: Mutex::new(Some(reports)),
            stop: observer.stop.clone(),
            observer,
            address,
            grace: options.grace,
            parts: tokio::sync::Mutex::new(Some(parts)),
        })
    }

    /// The worker's number in the database.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.worker.load(Ordering::Acquire)
    }

    /// The client that the worker was started from.
    #[must_use]
    pub fn lavoro(&self) -> &Lavoro {
        &self.lavoro
    }

    /// Listens to what happens to the worker's jobs from now on. Any number may listen.
    pub fn events(&self) -> EventStream {
        self.observer.events.listen()
    }

    /// How the worker is.
    pub fn health(&self) -> Health {
        self.observer.health()
    }

    /// Where the worker answers HTTP requests, if it was asked to
    /// ([`listen`](WorkerOptions::listen)).
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Waits for jobs and hands out up to `max` of them. Their attempts are running from then
    /// on. An empty answer means that the worker stops and no more will come.
    ///
    /// Dropping the future loses nothing: jobs stay in the worker until they are handed out.
    pub async fn next_jobs(&self, max: usize) -> Vec<Job> {
        loop {
            let stocked = self.board.stocked.notified();
            tokio::pin!(stocked);
            stocked.as_mut().enable();
            match self.board.hand_out(max) {
                Some(jobs) if jobs.is_empty() => stocked.await,
                Some(mut jobs) => {
                    self.notebook.equip(&mut jobs);
                    self.observer.events.started(&mut jobs);
                    return jobs;
                }
                None => return Vec::new(),
            }
        }
    }

    /// Waits until [`next_jobs`](Self::next_jobs) would hand a job out at once, and takes none:
    /// for event loops. `false`: the worker stops, and no more will come.
    pub async fn ready(&self) -> bool {
        loop {
            let stocked = self.board.stocked.notified();
            tokio::pin!(stocked);
            stocked.as_mut().enable();
            match self.board.is_stocked() {
                Some(false) => stocked.await,
                Some(true) => return true,
                None => return false,
            }
        }
    }

    /// Takes this very job out of the waiting, to be handed out here, whatever else waits: for
    /// tests. Answers whether it was waiting.
    pub(crate) async fn take(&self, id: JobId) -> Result<bool> {
        let jobs = self.store.take(id, Uuid::new_v4(), self.id()).await?;
        let taken = !jobs.is_empty();
        self.board.stock(jobs);
        Ok(taken)
    }

    /// Reports outcomes. Their slots are free at once; the answer, in the same order, comes when
    /// each is committed or known to be refused. Dropping the future does not take them back.
    pub async fn finish(&self, batch: Vec<Finish>) -> Vec<Verdict> {
        let waiting: Vec<_> = batch.into_iter().map(|finish| self.report(finish)).collect();
        let mut verdicts = Vec::with_capacity(waiting.len());
        for verdict in waiting {
            verdicts.push(match verdict {
                Some(verdict) => verdict.await.unwrap_or(Verdict::Stale),
                None => Verdict::Stale,
            });
        }
        verdicts
    }

    fn report(&self, finish: Finish) -> Option<oneshot::Receiver<Verdict>> {
        // Held from before the slot is freed: a stop that sees no more slots taken must not close
        // the way before this outcome has gone it.
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match self.board.report((finish.job, finish.token), finish.outcome) {
            Judged::Send(ticket, outcome) => {
                let (reply, verdict) = oneshot::channel();
                reports.as_ref()?.send((ticket, outcome, Some(reply))).ok()?;
                Some(verdict)
            }
            Judged::Late => None,
        }
    }

    /// Stops: claims no more, waits for running handlers at most as long as `timeout`, tells
    /// those that still run to stop, gives them [`WorkerOptions::grace`] to do so, hands the jobs
    /// of the rest back uncounted, and records every
    /// outcome, for which it takes up to 10 seconds more if the database does not answer: what
    /// cannot be recorded then is rescued by others. Answers whether all handlers had returned in time. Later calls do nothing.
    pub async fn stop(&self, timeout: Duration) -> bool {
        // Its timers and connections are those of the worker's own threads, whoever waits.
        let mut end = std::pin::pin!(self.end(timeout));
        std::future::poll_fn(|context| {
            let _within = self.runtime.handle().enter();
            end.as_mut().poll(context)
        })
        .await
    }

    async fn end(&self, timeout: Duration) -> bool {
        self.stop.cancel();
        let Some(parts) = self.parts.lock().await.take() else { return self.board.is_drained() };
        let limit = tokio::time::Instant::now() + timeout;
        let mut fetcher = parts.fetcher;
        if tokio::time::timeout_at(limit, &mut fetcher).await.is_err() {
            // It waits for a database that does not answer. What it may have claimed is
            // rescued by others.
            fetcher.abort();
        }
        self.release(self.board.close());
        let drained = tokio::time::timeout_at(limit, self.drained()).await.is_ok();
        if !drained {
            if !self.grace.is_zero() {
                self.board.ask_to_stop();
                let _ = tokio::time::timeout(self.grace, self.drained()).await;
            }
            self.release(self.board.abandon());
        }
        if let Some(maintenance) = parts.maintenance {
            maintenance.stop().await;
        }
        for service in parts.services {
            service.stop().await;
        }
        drop(self.reports.lock().unwrap_or_else(PoisonError::into_inner).take());
        parts.finisher.close(LAST_WORDS).await;
        parts.clerks.close().await;
        self.observer.end(&self.store).await;
        parts.heartbeat.stop().await;
        let ended = tokio::time::timeout(LAST_WORDS, self.store.end_worker(self.id())).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the worker's end could not be recorded");
        }
        drained
    }

    /// Waits until the worker is stuck: every slot holds a handler that has not returned for
    /// [`stuck_after`](WorkerOptions::stuck_after) though its attempt is over. Nothing more is
    /// claimed or handed out then; leases that stand are still renewed. A program should end with
    /// a message, so that whoever supervises it starts it again. Never returns otherwise.
    pub async fn stuck(&self) {
        self.board.stuck.cancelled().await;
    }

    async fn drained(&self) {
        loop {
            let drained = self.board.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if self.board.is_drained() {
                return;
            }
            drained.await;
        }
    }

    fn release(&self, tickets: Vec<crate::job::Ticket>) {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reports) = reports.as_ref() {
            for ticket in tickets {
                let _ = reports.send((ticket, Outcome::Release, None));
            }
        }
    }

    /// Runs work on Lavoro's own threads.
    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Drop for PullWorker {
    fn drop(&mut self) {
        // Not stopped: claiming ends, and what is held is rescued by others after a lease.
        self.stop.cancel();
        self.observer.ended.cancel();
        self.observer.events.silence();
    }
}

/// The small loops beside claiming and recording.
fn services(
    handle: &Handle,
    store: &Arc<Store>,
    observer: &Observer,
    hints: &Arc<Hints>,
    reports: &mpsc::UnboundedSender<Report>,
    options: &WorkerOptions,
) -> Vec<Service> {
    let (board, worker) = (&observer.board, &observer.worker);
    let deadlines = Deadlines { board: Arc::clone(board), reports: reports.downgrade() };
    let cancels =
        Cancels { store: Arc::clone(store), board: Arc::clone(board), worker: Arc::clone(worker) };
    let stuck = StuckWatch {
        board: Arc::clone(board),
        after: options.stuck_after,
        worker: Arc::clone(worker),
    };
    let ear = Ear::new(Arc::clone(store), Arc::clone(hints));
    let flusher = Flusher::new(store, observer, options.timing.tally);
    vec![
        Service::start(handle, flusher, Arc::default()),
        Service::start(handle, ear, Arc::default()),
        Service::start(handle, deadlines, Arc::clone(&board.sooner)),
        Service::start(handle, cancels, Arc::default()),
        Service::start(handle, stuck, Arc::default()),
    ]
}

fn registration(options: &WorkerOptions) -> Registration {
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned());
    let pid = std::process::id();
    let tasks: HashSet<&String> = options.tasks.iter().collect();
    Registration {
        name: options.name.clone().unwrap_or_else(|| format!("{host}:{pid}")),
        host,
        pid,
        language: options.language.clone(),
        lease_ms: i32::try_from(options.timing.lease.as_millis()).unwrap_or(i32::MAX),
        queues: serde_json::json!(options.queues).to_string(),
        tasks: tasks.into_iter().cloned().collect(),
    }
}
