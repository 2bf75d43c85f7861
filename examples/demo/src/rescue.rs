//! The worker that is killed half-way, and what becomes of its jobs.

use crate::Result;
use crate::console::{Console, Style};
use crate::processes::Fleet;
use crate::tasks::resize;
use chrono::{DateTime, Utc};
use lavoro_core::{JobId, JobInfo, JobState, Lavoro};
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::sleep;

/// How many jobs a worker has completed before it may be killed.
const HALF_WAY: usize = 2;
/// How long it is held still before it is killed.
const STILL: Duration = Duration::from_millis(50);

/// A worker that was killed.
#[derive(Debug)]
pub(crate) struct Killed {
    /// Its name.
    pub(crate) worker: String,
    /// Its process number.
    pub(crate) pid: u32,
    /// When it was killed.
    pub(crate) at: DateTime<Utc>,
    /// The jobs that it was running.
    pub(crate) jobs: Vec<JobId>,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Drama {
    /// The worker that was killed, once it was.
    pub(crate) killed: Option<Killed>,
    announced: bool,
}

impl Drama {
    /// Kills a worker if it is time, and tells when its jobs have been rescued.
    pub(crate) async fn advance(
        &mut self,
        console: &Console,
        lavoro: &Lavoro,
        fleet: &mut Fleet,
        jobs: &[JobInfo],
    ) -> Result<()> {
        if let Some(killed) = &self.killed {
            if !self.announced && killed.jobs.iter().all(|id| returned(jobs, *id)) {
                self.announced = true;
                let after = seconds(Utc::now() - killed.at);
                let text = format!("{} given back {after:.1} s after the kill", name(&killed.jobs));
                console.step(Style::Note, "rescued", &text);
            }
            return Ok(());
        }
        let mut busy = running(jobs).filter_map(|job| job.worker.as_deref());
        if let Some(worker) = busy.find(|name| ripe(jobs, name)) {
            self.killed = kill(console, lavoro, fleet, worker).await?;
        }
        Ok(())
    }
}

/// Kills a worker if it holds jobs. It is held still while that is looked at, so that what it
/// holds then is what it never finishes.
async fn kill(
    console: &Console,
    lavoro: &Lavoro,
    fleet: &mut Fleet,
    worker: &str,
) -> Result<Option<Killed>> {
    fleet.signal(worker, Signal::SIGSTOP)?;
    // What it has just sent is recorded meanwhile.
    sleep(STILL).await;
    let jobs = crate::watch::jobs(lavoro).await?;
    let held = running(&jobs).filter(|job| job.worker.as_deref() == Some(worker));
    let jobs: Vec<JobId> = held.map(|job| job.id).collect();
    if jobs.is_empty() {
        fleet.signal(worker, Signal::SIGCONT)?;
        return Ok(None);
    }
    let pid = fleet.kill(worker).await?;
    let at = Utc::now();
    let text = format!("{worker} (process {pid}) by SIGKILL, while it ran {}", name(&jobs));
    console.step(Style::Bad, "killed", &text);
    Ok(Some(Killed { worker: worker.to_owned(), pid, at, jobs }))
}

/// The photographs that are being resized.
fn running(jobs: &[JobInfo]) -> impl Iterator<Item = &JobInfo> {
    jobs.iter().filter(|job| job.queue == resize::QUEUE && job.state == JobState::Running)
}

/// Whether a worker has done enough to be missed.
fn ripe(jobs: &[JobInfo], worker: &str) -> bool {
    let done = jobs.iter().filter(|job| {
        job.queue == resize::QUEUE
            && job.state == JobState::Completed
            && job.worker.as_deref() == Some(worker)
    });
    done.count() >= HALF_WAY
}

fn returned(jobs: &[JobInfo], id: JobId) -> bool {
    jobs.iter().any(|job| job.id == id && was_lost(job))
}

/// Whether an attempt of this job ended with its worker.
pub(crate) fn was_lost(job: &JobInfo) -> bool {
    job.errors.iter().any(|error| error.kind == "lost")
}

/// A span as seconds.
pub(crate) fn seconds(span: chrono::TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1000.0
}

/// `job 3`, `jobs 3 and 5`.
pub(crate) fn name(jobs: &[JobId]) -> String {
    let numbers: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    match numbers.as_slice() {
        [] => "no job".to_owned(),
        [one] => format!("job {one}"),
        [most @ .., last] => format!("jobs {} and {last}", most.join(", ")),
    }
}
