//! `write_report`: a PDF from a Markdown document, with its table and page numbers.

use crate::Result;
use crate::output::{directory, stem, write_whole};
use crate::pdf::Document;
use lavoro_core::{Job, NewJob};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The task's name.
pub(crate) const TASK: &str = "write_report";
/// Its queue.
pub(crate) const QUEUE: &str = "documents";

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    document: PathBuf,
}

/// What the handler made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The file.
    pub(crate) file: PathBuf,
    /// How many pages it has.
    pub(crate) pages: usize,
}

/// A job for one document.
pub(crate) fn job(document: &Path) -> NewJob {
    NewJob::new(TASK, Payload { document: document.to_owned() }).queue(QUEUE)
}

/// Where the report goes.
pub(crate) fn target(document: &Path) -> PathBuf {
    directory("reports").join(format!("{}.pdf", stem(document)))
}

/// The handler.
#[allow(clippy::needless_pass_by_value, reason = "a handler is given its job")]
pub(crate) fn run(job: Job) -> Result<Report> {
    let Payload { document } = job.payload()?;
    let (bytes, pages) = typeset(&std::fs::read_to_string(&document)?);
    let file = target(&document);
    write_whole(&file, |file| Ok(file.write_all(&bytes)?))?;
    Ok(Report { file, pages })
}

/// Sets headings, paragraphs and tables, each a block between empty lines.
fn typeset(markdown: &str) -> (Vec<u8>, usize) {
    let title = markdown.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
    let mut document = Document::new(title);
    for block in markdown.split("\n\n") {
        if let Some(heading) = block.strip_prefix("# ") {
            document.heading(heading.trim(), true);
        } else if let Some(heading) = block.strip_prefix("## ") {
            document.heading(heading.trim(), false);
        } else if block.starts_with('|') {
            let mut rows = block.lines().filter(|line| !line.starts_with("|-")).map(cells);
            let head = rows.next().unwrap_or_default();
            document.table(&head, &rows.collect::<Vec<_>>());
        } else {
            document.paragraph(block);
        }
    }
    document.finish()
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}
