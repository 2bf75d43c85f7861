//! `process_album`: a handler that enqueues. It has each photograph resized by other workers,
//! waits for them, and enqueues the mail that says so.

use crate::Result;
use crate::output::{list, stem};
use crate::tasks::{mail, resize};
use lavoro_core::{Job, JobId, Lavoro, NewJob};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The task's name.
pub(crate) const TASK: &str = "process_album";
/// Its queue.
pub(crate) const QUEUE: &str = "pipeline";

/// How long an album may take.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    album: PathBuf,
}

/// What the handler enqueued.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Processed {
    /// The jobs that resized its photographs, and the one that sent the mail.
    pub(crate) jobs: Vec<JobId>,
}

/// A job for one album, a directory of photographs.
pub(crate) fn job(album: &Path) -> NewJob {
    NewJob::new(TASK, Payload { album: album.to_owned() }).queue(QUEUE)
}

/// The handler.
pub(crate) async fn run(lavoro: Lavoro, job: Job) -> Result<Processed> {
    let Payload { album } = job.payload()?;
    let name = stem(&album);
    let photographs = list(&album)?;
    let resizing = lavoro.enqueue_many(photographs.iter().map(|path| resize::job(path))).await?;
    let mut body = format!("The album \"{name}\" is ready:\n\n");
    let mut jobs = Vec::new();
    for handle in resizing {
        let resized: resize::Resized = handle.result(PATIENCE).await?.value()?;
        for file in &resized.files {
            let _ = writeln!(body, "  {}", file.display()); // writing to a String cannot fail
        }
        jobs.push(handle.id());
    }
    let subject = format!("Your album \"{name}\" is ready");
    let mail = mail::job("Ada <ada@example.org>", &subject, &body).unique_key(name);
    jobs.push(lavoro.enqueue(mail).await?.id());
    Ok(Processed { jobs })
}
