//! The client: enqueue, look at, wait for and change jobs.

mod bulk;
mod coalesce;
mod consumers;
mod declarer;
mod diagnose;
mod fleet;
mod handle;
mod hint;
mod jobs;
mod locks;
mod migrations;
mod producer;
mod queues;
mod retention;
mod schedules;
mod statistics;
mod target;
mod transaction;
mod wait;

pub use handle::{JobHandle, JobResult};
pub use locks::{Lock, LockOptions};
pub use migrations::Migrations;
pub use queues::{KeptJob, QueueClear, QueueRename};
pub use transaction::SqlCall;

use crate::embedded::Embedded;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;
use crate::lock::Locks;
use crate::maintenance::Maintenance;
use crate::new_job::NewJob;
use crate::options::ConnectOptions;
use crate::runtime::Runtime;
use crate::store::{Migrator, Store};
use bulk::Bulk;
use coalesce::Coalescer;
use consumers::Consumers;
use declarer::Declarer;
use hint::Hinter;
use std::sync::Arc;
use target::Target;
use tokio::sync::{Mutex, Notify};
use wait::Waiter;

/// A connection to one database and schema: enqueues jobs, and is what workers start from.
///
/// Cheap to clone, usable from any thread and any async executor: its own work runs on its own
/// threads.
///
/// ```no_run
/// # async fn example() -> lavoro_core::Result<()> {
/// use lavoro_core::{Lavoro, NewJob};
///
/// let lavoro = Lavoro::connect("postgres://localhost/app").await?;
/// let job = lavoro.enqueue(NewJob::new("send_email", serde_json::json!({"to": "ada"}))).await?;
/// println!("enqueued {}", job.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Lavoro {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    coalescer: Coalescer,
    bulk: Mutex<Bulk>,
    hinter: Hinter,
    consumers: Option<Consumers>,
    declarer: Declarer,
    waiter: Waiter,
    locks: Locks,
    maintenance: Mutex<Option<Maintenance>>,
    options: ConnectOptions,
    url: String,
    runtime: Arc<Runtime>,
    /// Last, so that the server outlives all that uses it.
    embedded: Option<Embedded>,
}

impl std::fmt::Debug for Inner {
    /// Leaves out the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Lavoro {
    /// Connects with default options. The URL is `postgres://…`, `embedded:` (a private server
    /// with its data in `.lavoro/`, found upwards from the current directory) or `memory:` (a
    /// throw-away server).
    ///
    /// # Errors
    /// `invalid_url`, `connection_failed`, `authentication_failed`, `database_missing`,
    /// `schema_missing`, `schema_outdated`, `schema_newer`, `read_only`, `unsupported_server`,
    /// `postgres_not_found`, `embedded_failed`, `embedded_in_production`.
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::connect_with(ConnectOptions::url(url)).await
    }

    /// Connects. See [`ConnectOptions`] for the defaults, the URL's included.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and `invalid_option`.
    pub async fn connect_with(options: ConnectOptions) -> Result<Self> {
        options.check()?;
        let runtime = Arc::new(Runtime::new()?);
        let lent = Arc::clone(&runtime);
        runtime.run(async move { Self::open(lent, options).await }).await
    }

    async fn open(runtime: Arc<Runtime>, options: ConnectOptions) -> Result<Self> {
        let target = Target::resolve(&options).await?;
        if target.migrate {
            let migrator = Migrator::new(target.store_options(&options))?;
            migrator.migrate().await?;
            migrator.close().await;
        }
        let store = Arc::new(Store::open(&target.store_options(&options))?);
        store.check().await?;
        let handle = runtime.handle();
        let hinter = Hinter::start(handle, Arc::clone(&store));
        let maintenance = options
            .maintenance
            .then(|| Maintenance::start(handle, &store, options.timing, &Arc::new(Notify::new())));
        let patience = options.enqueue_timeout;
        Ok(Self {
            inner: Arc::new(Inner {
                coalescer: Coalescer::start(handle, Arc::clone(&store), hinter.clone(), patience),
                bulk: Mutex::new(Bulk::new(Arc::clone(&store), patience)),
                consumers: options
                    .warn_unhandled
                    .then(|| Consumers::start(handle, Arc::clone(&store))),
                declarer: Declarer::new(handle, Arc::clone(&store)),
                waiter: Waiter::start(handle, Arc::clone(&store)),
                locks: Locks::new(Arc::clone(&store)),
                hinter,
                maintenance: Mutex::new(maintenance),
                url: target.url,
                embedded: target.embedded,
                store,
                options,
                runtime,
            }),
        })
    }

    /// Enqueues a job. When this returns, the job is committed and safe.
    ///
    /// Calls that run at the same time share one statement and one commit. While the database
    /// cannot be reached it is tried again for `enqueue_timeout`; a commit whose reply was lost
    /// is recognised and never applied twice.
    ///
    /// # Errors
    /// What is wrong with the job (`invalid_task`, `payload_too_large`, …), `unique_pending`,
    /// or what is wrong with the database.
    pub async fn enqueue(&self, job: NewJob) -> Result<JobHandle> {
        let job = job.check()?;
        self.note(&job);
        let enqueued = if job.unique_key.is_some() {
            let inner = Arc::clone(&self.inner);
            self.run(async move {
                let patience = inner.options.enqueue_timeout;
                let answer = producer::keyed(&inner.store, &job, patience).await?;
                if answer.idle {
                    inner.hinter.hint(&job.queue);
                }
                Ok(answer.enqueued)
            })
            .await?
        } else {
            self.inner.coalescer.enqueue(job).await?
        };
        Ok(self.handle(enqueued.id, enqueued.created))
    }

    /// Enqueues many jobs and answers their handles in the same order.
    ///
    /// Every job is checked before anything is sent. The jobs without unique keys are committed
    /// together or not at all; each job with a unique key is committed by itself, after them.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue); the message names the job's place.
    pub async fn enqueue_many(
        &self,
        jobs: impl IntoIterator<Item = NewJob>,
    ) -> Result<Vec<JobHandle>> {
        let checked = jobs.into_iter().enumerate().map(|(place, job)| {
            job.check().map_err(|error| {
                Error::new(error.kind(), format!("job {place}: {}", error.message()))
            })
        });
        let jobs = checked.collect::<Result<Vec<_>>>()?;
        for job in &jobs {
            self.note(job);
        }
        let inner = Arc::clone(&self.inner);
        let enqueued = self
            .run(async move { inner.bulk.lock().await.enqueue(jobs, &inner.hinter).await })
            .await?;
        Ok(enqueued.into_iter().map(|e| self.handle(e.id, e.created)).collect())
    }

    /// A handle on a job by its number, without asking the database.
    #[must_use]
    pub fn job(&self, id: JobId) -> JobHandle {
        self.handle(id, false)
    }

    /// How many bytes of write-ahead log the server has written since it was made: the
    /// difference of two readings is what the work between them cost, whoever did it.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn wal_position(&self) -> Result<i64> {
        let store = Arc::clone(&self.inner.store);
        self.run(async move { store.wal_position().await }).await
    }

    /// The URL that other programs reach this database under. It may hold a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.inner.store.schema()
    }

    /// The embedded server behind this client, if there is one.
    #[must_use]
    pub fn embedded(&self) -> Option<&Embedded> {
        self.inner.embedded.as_ref()
    }

    /// Ends maintenance and closes all connections, after what is being enqueued has been
    /// committed. Calls after that fail with `closed`.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let closed = self.run(async move {
            inner.coalescer.close().await;
            inner.locks.close().await;
            if let Some(consumers) = &inner.consumers {
                consumers.close().await;
            }
            inner.declarer.close().await;
            if let Some(maintenance) = inner.maintenance.lock().await.take() {
                maintenance.stop().await;
            }
            inner.store.close().await;
            Ok(())
        });
        let _ = closed.await;
    }

    fn handle(&self, id: JobId, created: bool) -> JobHandle {
        JobHandle::new(self.clone(), id, created)
    }

    /// Runs work on the client's own threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.inner.runtime.run(work).await
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.inner.runtime
    }

    pub(crate) fn waiter(&self) -> &Waiter {
        &self.inner.waiter
    }
}

/// The other side of a channel is gone.
fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client has been closed")
}
