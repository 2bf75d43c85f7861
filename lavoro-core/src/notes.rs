//! What handlers say of their jobs while they work.
//!
//! A handler's words are put on the worker's *desk*, which costs no more than a lock; the
//! worker's notebook carries them to the database from there.

mod desk;

pub(crate) use desk::{Desk, Request, Said};

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, sanitise_text};
use crate::limits;
use chrono::{DateTime, Utc};
use desk::Books;
use serde::{Serialize, Serializer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use uuid::Uuid;

const TOO_MANY: &str = "[the other lines of this attempt are left out: 1000 is the limit]";
const TOO_FAST: &str = "[lines are left out here: they came faster than they could be written]";

/// How far a job has come, as its handler says it. What is not said is empty: the last word
/// replaces the one before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgressUpdate {
    /// From 0 to 100.
    pub percent: Option<f32>,
    /// For people. One longer than 16 KiB loses its middle.
    pub message: Option<String>,
    /// For programs: at most 64 KiB.
    pub data: Option<serde_json::Value>,
}

/// A line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Grows from line to line of a job: where to go on reading. A decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: i64,
    /// When it was said, by the server's clock.
    pub logged_at: DateTime<Utc>,
    /// Which attempt said it, from 1.
    pub attempt: u32,
    /// The line, without its end.
    pub line: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// One execution of a job: who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) job: i64,
    pub(crate) token: Uuid,
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) attempt: u32,
}

/// A word on how far a job has come.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) at: Instant,
    pub(crate) percent: Option<f32>,
    pub(crate) message: Option<String>,
    pub(crate) data: Option<Json>,
}

/// A line that is not written yet.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    /// Its place among those of the attempt, from 1.
    pub(crate) number: u16,
    pub(crate) text: String,
}

/// One attempt's place at the desk.
#[derive(Debug)]
struct Pen {
    desk: Arc<Desk>,
    speaker: Speaker,
    lines: Mutex<Lines>,
}

/// The lines of an attempt so far.
#[derive(Debug, Default)]
struct Lines {
    /// The number of the last one.
    last: u16,
    /// Whether that says that lines are left out, since there are too many unwritten ones.
    too_fast: bool,
    /// Whether that says that no more are taken.
    too_many: bool,
}

/// The handle through which an attempt speaks. The default speaks to nobody: jobs outside of a
/// worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Option<Arc<Pen>>);

impl Notes {
    /// The handle through which one attempt speaks.
    pub(crate) fn at(desk: &Arc<Desk>, speaker: Speaker) -> Self {
        Self(Some(Arc::new(Pen { desk: Arc::clone(desk), speaker, lines: Mutex::default() })))
    }

    /// Says how far the job has come.
    pub(crate) fn progress(&self, word: Word) {
        let Some(pen) = &self.0 else { return };
        let mut books = pen.desk.books();
        if books.are_open() {
            books.word(pen.speaker, word);
            drop(books);
            pen.desk.news.notify_one();
        }
    }

    /// Adds to the job's log: each line of `text` is one there.
    pub(crate) fn log(&self, text: &str) {
        let Some(pen) = &self.0 else { return };
        let mut lines = pen.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut books = pen.desk.books();
        if !books.are_open() {
            return;
        }
        let mut pieces = text.lines();
        for piece in std::iter::once(pieces.next().unwrap_or_default()).chain(pieces) {
            if lines.too_many {
                return;
            }
            pen.line(&mut books, &mut lines, piece);
        }
        drop(books);
        pen.desk.news.notify_one();
    }

    /// Saves a checkpoint. When this returns, it is committed.
    pub(crate) async fn save(&self, data: Json) -> Result<()> {
        let pen = self.0.as_ref().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        pen.ask(Request::Save(pen.speaker, data, reply)).await?;
        answer.await.map_err(|_| closed())?
    }

    /// The last checkpoint of the job, as JSON text.
    pub(crate) async fn load(&self) -> Result<Option<String>> {
        let pen = self.0.as_ref().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        pen.ask(Request::Load(pen.speaker.job, reply)).await?;
        answer.await.map_err(|_| closed())?
    }
}

impl Pen {
    fn line(&self, books: &mut Books, lines: &mut Lines, text: &str) {
        let text = if usize::from(lines.last) >= limits::LOG_LINES {
            lines.too_many = true;
            TOO_MANY.to_owned()
        } else if !books.have_room() {
            if std::mem::replace(&mut lines.too_fast, true) {
                return;
            }
            TOO_FAST.to_owned()
        } else {
            lines.too_fast = false;
            // What stands in for a long line's middle is set off by ends of lines.
            sanitise_text(text, limits::LOG_LINE_BYTES).replace('\n', " ")
        };
        lines.last += 1;
        books.line(self.speaker, Line { at: Instant::now(), number: lines.last, text });
    }

    async fn ask(&self, request: Request) -> Result<()> {
        let sender = self.desk.books().keeper().ok_or_else(closed)?;
        sender.send(request).await.map_err(|_| closed())
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the job is in no running worker's hands: its checkpoint cannot be reached",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(job: i64) -> Speaker {
        Speaker { job, token: Uuid::nil(), claimed_at: DateTime::UNIX_EPOCH, attempt: 1 }
    }

    fn line_count(said: &[Said]) -> usize {
        said.iter().map(|said| said.lines.len()).sum()
    }

    /// Nothing is carried away: an outage. What is kept is bounded, and gaps are marked.
    #[test]
    fn what_is_not_written_yet_is_bounded() {
        let (desk, _requests) = Desk::new();
        let long = "x".repeat(limits::LOG_LINE_BYTES);
        let all: Vec<Notes> = (0..100).map(|job| Notes::at(&desk, speaker(job))).collect();
        for _ in 0..limits::LOG_LINES {
            for notes in &all {
                notes.log(&long);
            }
        }
        let mut kept = Vec::new();
        loop {
            let batch = desk.take();
            if batch.is_empty() {
                break;
            }
            desk.done(&batch);
            kept.extend(batch);
        }
        let bytes: usize = kept.iter().flat_map(|s| &s.lines).map(|line| line.text.len()).sum();
        assert!((15 << 20..17 << 20).contains(&bytes), "{bytes} bytes of 400 MB");
        assert!(kept.iter().all(|said| said.lines.last().is_some_and(|l| l.text == TOO_FAST)));
        // With room again, lines are taken again.
        all[0].log("again");
        assert_eq!(desk.take()[0].lines[0].text, "again");
    }

    #[test]
    fn words_that_are_put_back_stay_behind_later_ones() {
        let (desk, _requests) = Desk::new();
        let notes = Notes::at(&desk, speaker(1));
        let word = |n| Word { at: Instant::now(), percent: Some(n), message: None, data: None };
        notes.progress(word(1.0));
        notes.log("a\nb");
        let batch = desk.take();
        assert_eq!(line_count(&batch), 2);
        notes.progress(word(2.0));
        notes.log("c");
        desk.put_back(batch);
        let batch = desk.take();
        let texts: Vec<_> = batch[0].lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert_eq!(batch[0].progress.as_ref().and_then(|word| word.percent), Some(2.0));
        desk.put_back(batch);
        assert_eq!(line_count(&desk.take()), 3);
    }

    #[test]
    fn a_job_outside_of_a_worker_speaks_to_nobody() {
        let notes = Notes::default();
        notes.log("unheard");
        notes.progress(Word { at: Instant::now(), percent: None, message: None, data: None });
        let (desk, _requests) = Desk::new();
        desk.close();
        Notes::at(&desk, speaker(1)).log("too late");
        assert!(desk.take().is_empty());
    }
}
