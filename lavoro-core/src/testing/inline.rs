//! Running one job in a test.

use super::drainer::Drainer;
use crate::client::JobResult;
use crate::error::{Error, ErrorKind, Result};
use crate::new_job::NewJob;
use crate::outcome::Outcome;
use crate::worker::WorkerBuilder;

/// Enqueues a job and runs this very job at once, one attempt in the caller's task, whatever else
/// waits and whatever its delay. Answers how it ended; after a failure or a snooze it is still
/// `Retrying` or `Scheduled`, and the answer says so.
///
/// ```
/// use lavoro_core::{JobState, Job, Lavoro, NewJob, Outcome, Worker, testing};
///
/// # fn main() -> lavoro_core::Result<()> {
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let lavoro = Lavoro::connect("memory:").await?;
/// let worker = Worker::builder(&lavoro).handler("half", |job: Job| async move {
///     let n: u32 = job.payload()?;
///     if n % 2 == 1 {
///         return Err(Outcome::fail("it is odd"));
///     }
///     Ok(n / 2)
/// });
/// let odd = testing::inline(worker, NewJob::new("half", 7)).await?;
/// assert_eq!(odd.state, JobState::Discarded);
/// assert_eq!(odd.error.as_deref(), Some("it is odd"));
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
/// `invalid_state` if there is no handler for it, or another job holds its unique key; what is
/// wrong with the job or the description of the worker, or with the database.
pub async fn inline(worker: WorkerBuilder, job: NewJob) -> Result<JobResult> {
    let wrong = |message: String| Err(Error::new(ErrorKind::InvalidState, message));
    let (lavoro, options, handlers) = worker.into_parts()?;
    if !options.tasks.iter().any(|task| task == job.task()) {
        return wrong(format!("task {:?} has no handler", job.task()));
    }
    let handle = lavoro.enqueue(job).await?;
    if !handle.is_new() {
        return wrong(format!("job {} holds the job's unique key", handle.id()));
    }
    let drainer = Drainer::new(&lavoro, &options);
    let ran = async {
        let job = drainer.take(handle.id()).await?;
        let worker = drainer.worker_id().await;
        let outcome = handlers.attempt(vec![job.clone()], worker).await.pop();
        drainer.finish(&job, outcome.unwrap_or(Outcome::Release)).await
    };
    let ran = ran.await;
    drainer.end().await?;
    ran?;
    let info = handle.info().await?;
    Ok(JobResult {
        state: info.state,
        json: info.result.map(|result| result.to_string()),
        error: info.errors.last().map(|error| error.message.clone()),
    })
}
