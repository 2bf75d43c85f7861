//! What happened, as a table and a few lines.

use crate::console::{Console, Style};
use crate::rescue::{Drama, seconds, was_lost};
use lavoro_core::{JobId, JobInfo, JobState};
use std::collections::HashSet;

const HEAD: [&str; 7] = ["job", "task", "queue", "state", "worker", "runs", "run time"];

/// Prints a row per job.
pub(crate) fn table(console: &Console, jobs: &[JobInfo]) {
    let rows: Vec<[String; 7]> = jobs.iter().map(row).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |cells: [&str; 7]| {
        let padded: Vec<String> = (0..)
            .zip(cells.iter().zip(widths))
            .map(|(place, (cell, width))| match place {
                0 | 6 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        padded.join("  ")
    };
    console.line("");
    console.line(&console.paint(Style::Bold, &line(HEAD)));
    for (job, row) in jobs.iter().zip(&rows) {
        let style = match job.state {
            JobState::Completed if job.errors.is_empty() => Style::Plain,
            JobState::Completed => Style::Note,
            _ => Style::Bad,
        };
        console.line(&console.paint(style, &line(row.each_ref().map(String::as_str))));
    }
}

fn row(job: &JobInfo) -> [String; 7] {
    let time = job.started_at.zip(job.finished_at).map(|(from, to)| seconds(to - from));
    [
        job.id.to_string(),
        job.task.clone(),
        job.queue.clone(),
        job.state.to_string(),
        job.worker.clone().unwrap_or_default(),
        runs(job),
        time.map(|time| format!("{time:.2} s")).unwrap_or_default(),
    ]
}

/// How often the job ran: the count, and how the runs before the last one ended.
fn runs(job: &JobInfo) -> String {
    let ended: Vec<&str> = job.errors.iter().map(|error| error.kind.as_str()).collect();
    if ended.is_empty() {
        return "1".to_owned();
    }
    format!("{} ({})", ended.len() + 1, ended.join(", "))
}

/// Prints what became of all jobs together, of the killed worker, and of what failed.
pub(crate) fn story(
    console: &Console,
    jobs: &[JobInfo],
    acknowledged: &HashSet<JobId>,
    drama: &Drama,
) {
    let completed: HashSet<JobId> =
        jobs.iter().filter(|job| job.state == JobState::Completed).map(|job| job.id).collect();
    let lost = acknowledged.difference(&completed).count();
    let text = format!(
        "enqueued {}, completed {}, lost {lost}",
        acknowledged.len(),
        acknowledged.len() - lost
    );
    console.line("");
    entry(console, if lost == 0 { Style::Good } else { Style::Bad }, "jobs", &text);
    if let Some(killed) = &drama.killed {
        let text = format!("{} (process {}), by SIGKILL", killed.worker, killed.pid);
        entry(console, Style::Bad, "killed", &text);
        for job in jobs.iter().filter(|job| was_lost(job)) {
            let after = job.started_at.map_or(0.0, |at| seconds(at - killed.at));
            let text = format!(
                "job {}: lost with {}, run again by {} {after:.1} s after the kill",
                job.id,
                killed.worker,
                job.worker.as_deref().unwrap_or("nobody"),
            );
            entry(console, Style::Note, "rescued", &text);
        }
    }
    for job in jobs {
        for error in job.errors.iter().filter(|error| error.kind != "lost") {
            let said: String = error.message.chars().take(80).collect();
            let text = format!("job {}, attempt {}: {said}", job.id, error.attempt);
            entry(console, Style::Note, error.kind.as_str(), &text);
        }
    }
}

/// Prints a labelled line.
pub(crate) fn entry(console: &Console, style: Style, label: &str, text: &str) {
    console.line(&format!("{}  {text}", console.paint(style, &format!("{label:<9}"))));
}
