//! Looking at the jobs until all have ended.

use crate::Result;
use crate::console::{Console, Style};
use crate::input::Size;
use crate::processes::Fleet;
use crate::rescue::Drama;
use crate::tasks::{album, backup, mail, report, resize};
use lavoro_core::{JobFilter, JobInfo, Lavoro};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the jobs are looked at.
const PAUSE: Duration = Duration::from_millis(25);
/// How long everything may take.
const DEADLINE: Duration = Duration::from_mins(4);

/// Every queue, with how many jobs it will have had and what they make.
pub(crate) fn expected(size: Size) -> [(&'static str, usize, &'static str); 5] {
    [
        (album::QUEUE, Size::albums(), "albums processed"),
        (resize::QUEUE, size.all_photographs(), "photographs resized"),
        (report::QUEUE, size.documents, "reports written"),
        (backup::QUEUE, size.logs as usize, "files backed up"),
        (mail::QUEUE, mail::PEOPLE.len() + Size::albums(), "mails sent"),
    ]
}

/// All jobs, oldest first.
pub(crate) async fn jobs(lavoro: &Lavoro) -> Result<Vec<JobInfo>> {
    let filter = JobFilter { limit: 1000, ..JobFilter::default() };
    let mut jobs = lavoro.jobs(filter).await?.jobs;
    jobs.reverse();
    Ok(jobs)
}

/// Waits until every expected job has ended, says which queues are done, and has a worker killed
/// on the way. After the deadline it answers the jobs as they are.
pub(crate) async fn until_all_ended(
    console: &Console,
    lavoro: &Lavoro,
    fleet: &mut Fleet,
    size: Size,
) -> Result<(Vec<JobInfo>, Drama)> {
    let started = Instant::now();
    let mut waiting = expected(size).to_vec();
    let mut drama = Drama::default();
    loop {
        let jobs = jobs(lavoro).await?;
        fleet.check()?;
        drama.advance(console, lavoro, fleet, &jobs).await?;
        waiting.retain(|(queue, count, what)| {
            let ended = jobs.iter().filter(|job| job.queue == *queue && job.state.is_final());
            let done = ended.count() >= *count;
            if done {
                console.step(Style::Good, queue, &format!("{count} {what}"));
            }
            !done
        });
        if waiting.is_empty() {
            return Ok((jobs, drama));
        }
        if started.elapsed() > DEADLINE {
            console.step(Style::Bad, "too late", &format!("not ended within {DEADLINE:?}"));
            return Ok((jobs, drama));
        }
        sleep(PAUSE).await;
    }
}
