//! Whether everything that was promised is there and can be read.

use crate::Result;
use crate::output::{directory, list};
use crate::rescue::{Drama, was_lost};
use crate::tasks::{album, backup, mail, report, resize};
use flate2::read::GzDecoder;
use lavoro_core::{JobId, JobInfo, JobState};
use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

/// What was checked, and what was found.
pub(crate) type Check = (&'static str, Result<String>);

/// Every job that an enqueue has acknowledged: to the producer, or to a handler.
pub(crate) fn acknowledged(produced: &[JobId], jobs: &[JobInfo]) -> HashSet<JobId> {
    let by_handlers = jobs
        .iter()
        .filter(|job| job.task == album::TASK)
        .filter_map(|job| serde_json::from_value::<album::Processed>(job.result.clone()?).ok())
        .flat_map(|processed| processed.jobs);
    produced.iter().copied().chain(by_handlers).collect()
}

/// Looks at everything in `demo-output`.
pub(crate) fn files(jobs: &[JobInfo]) -> Vec<Check> {
    vec![
        ("images", images()),
        ("reports", reports()),
        ("backups", backups(jobs)),
        ("mail", mails(jobs)),
    ]
}

/// Whether the jobs ended as they should: as many as expected, each completed, none twice.
pub(crate) fn every_job(
    expected: usize,
    jobs: &[JobInfo],
    acknowledged: &HashSet<JobId>,
) -> Result<String> {
    let known: HashSet<JobId> = jobs.iter().map(|job| job.id).collect();
    if known != *acknowledged || known.len() != expected {
        let (known, acknowledged) = (known.len(), acknowledged.len());
        return Err(
            format!("{expected} expected, {acknowledged} acknowledged, {known} found").into()
        );
    }
    if let Some(job) = jobs.iter().find(|job| job.state != JobState::Completed) {
        return Err(format!("job {} ({}) is {}", job.id, job.task, job.state).into());
    }
    Ok(format!("{expected} of {expected} completed"))
}

/// Whether a worker was killed while it ran jobs, and others have done them.
pub(crate) fn rescue(drama: &Drama, jobs: &[JobInfo]) -> Result<String> {
    let killed = drama.killed.as_ref().ok_or("no worker was killed")?;
    if killed.jobs.is_empty() {
        return Err("the killed worker was running no job".into());
    }
    for id in &killed.jobs {
        let job = jobs.iter().find(|job| job.id == *id).ok_or(format!("job {id} is gone"))?;
        if !was_lost(job) || job.worker.as_ref() == Some(&killed.worker) {
            return Err(format!("job {id} was not rescued").into());
        }
    }
    Ok(format!("{} of {} done by another worker", killed.jobs.len(), killed.jobs.len()))
}

fn input(name: &str) -> Result<Vec<PathBuf>> {
    list(&directory("input").join(name))
}

fn images() -> Result<String> {
    let mut count = 0;
    for album in list(&directory("input"))? {
        for photograph in
            list(&album)?.iter().filter(|path| path.extension().is_some_and(|e| e == "jpg"))
        {
            let original = image::image_dimensions(photograph)?;
            for side in resize::SIDES {
                let path = resize::target(photograph, side);
                let image = image::open(&path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let (width, height) = (image.width(), image.height());
                if width.max(height) != side.min(original.0.max(original.1))
                    || (width > height) != (original.0 > original.1)
                {
                    return Err(format!("{} is {width} x {height}", path.display()).into());
                }
                count += 1;
            }
        }
    }
    Ok(format!("{count} JPEG files decode and have the right size"))
}

fn reports() -> Result<String> {
    let documents = input("documents")?;
    for document in &documents {
        let path = report::target(document);
        let bytes = read(&path)?;
        if !bytes.starts_with(b"%PDF-") || !bytes.trim_ascii_end().ends_with(b"%%EOF") {
            return Err(format!("{} is no whole PDF file", path.display()).into());
        }
    }
    Ok(format!("{} PDF files are whole", documents.len()))
}

fn backups(jobs: &[JobInfo]) -> Result<String> {
    let sources = input("logs")?;
    for source in &sources {
        let path = backup::target(source);
        let unpacked = GzDecoder::new(File::open(&path)?);
        let (sha256, _) = backup::digest(unpacked, &mut std::io::sink())?;
        let (original, _) = backup::digest(File::open(source)?, &mut std::io::sink())?;
        let told = jobs
            .iter()
            .filter(|job| job.task == backup::TASK)
            .filter_map(|job| serde_json::from_value::<backup::Backup>(job.result.clone()?).ok())
            .any(|backup| backup.file == path && backup.sha256 == sha256);
        if sha256 != original || !told {
            return Err(format!("{} holds something else", path.display()).into());
        }
    }
    Ok(format!("{} gzip files unpack to the SHA-256 of their jobs' results", sources.len()))
}

fn mails(jobs: &[JobInfo]) -> Result<String> {
    let sent: Vec<&JobInfo> = jobs.iter().filter(|job| job.task == mail::TASK).collect();
    for job in &sent {
        let path = directory("mail").join(format!("job-{}.eml", job.id));
        let text = String::from_utf8(read(&path)?)?;
        if !["To: ", "Subject: "].iter().all(|header| text.contains(header)) {
            return Err(format!("{} lacks its headers", path.display()).into());
        }
    }
    let kept = list(&directory("mail"))?.len();
    if kept != sent.len() {
        return Err(format!("{} mails were to be sent, {kept} arrived", sent.len()).into());
    }
    Ok(format!("{kept} messages arrived, each once"))
}

fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}
