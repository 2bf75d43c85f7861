//! What handlers say of their jobs while they work.
//!
//! A handler's words are put on the worker's *desk*, which costs no more than a lock; the
//! worker's notebook carries them to the database from there. What the desk holds is bounded:
//! of progress only the last word of each attempt, of log lines a number per attempt and a sum
//! of bytes per worker.

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, sanitise_text};
use crate::limits;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// How many bytes of log lines one worker keeps that are not written yet.
const UNWRITTEN_BYTES: usize = 16 << 20;
/// How many attempts' words are carried at once.
const BATCH: usize = 500;
/// How many bytes of words about are carried at once.
const BATCH_BYTES: usize = 2 << 20;
/// What a line costs beside its text.
const LINE_BYTES: usize = 64;
/// How many checkpoints wait to be saved; further callers keep theirs until there is room.
const CHECKPOINTS: usize = 16;

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

/// An execution in the books: the job and the token.
pub(crate) type Key = (i64, Uuid);

impl Speaker {
    fn key(&self) -> Key {
        (self.job, self.token)
    }
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

/// What an attempt has said since its words were last carried away.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) speaker: Speaker,
    /// The number of its first word among all words at the desk.
    first: u64,
    pub(crate) progress: Option<Word>,
    pub(crate) lines: Vec<Line>,
}

impl Said {
    fn new(speaker: Speaker, first: u64) -> Self {
        Self { speaker, first, progress: None, lines: Vec::new() }
    }

    fn line_bytes(&self) -> usize {
        self.lines.iter().map(|line| line.text.len() + LINE_BYTES).sum()
    }

    fn bytes(&self) -> usize {
        let word = self.progress.as_ref().map_or(0, |word| {
            word.message.as_ref().map_or(0, String::len) + word.data.as_ref().map_or(0, Json::size)
        });
        word + self.line_bytes()
    }

    /// Puts what was said before this in front of it.
    fn prepend(&mut self, mut earlier: Self) {
        self.first = earlier.first;
        self.progress = self.progress.take().or(earlier.progress);
        earlier.lines.append(&mut self.lines);
        self.lines = earlier.lines;
    }
}

/// What is asked of the one who keeps the checkpoints.
#[derive(Debug)]
pub(crate) enum Request {
    /// Save this for the next attempt.
    Save(Speaker, Json, oneshot::Sender<Result<()>>),
    /// What was saved last for this job?
    Load(i64, oneshot::Sender<Result<Option<String>>>),
}

/// Where a worker's handlers put their words.
pub(crate) struct Desk {
    books: Mutex<Books>,
    /// Told when there is something to carry.
    pub(crate) news: Notify,
    /// Told when somebody waits for words to be written.
    pub(crate) urgent: Notify,
    written: Notify,
}

struct Books {
    waiting: HashMap<Key, Said>,
    /// With the number of the first word.
    writing: HashMap<Key, u64>,
    /// How many words there were.
    words: u64,
    /// Of all lines that wait or are being written.
    bytes: usize,
    /// `None`: the worker has ended.
    checkpoints: Option<mpsc::Sender<Request>>,
}

impl std::fmt::Debug for Desk {
    /// Leaves out what handlers say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk, and where the requests for checkpoints arrive.
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Request>) {
        let (sender, requests) = mpsc::channel(CHECKPOINTS);
        let desk = Self {
            books: Mutex::new(Books {
                waiting: HashMap::new(),
                writing: HashMap::new(),
                words: 0,
                bytes: 0,
                checkpoints: Some(sender),
            }),
            news: Notify::new(),
            urgent: Notify::new(),
            written: Notify::new(),
        };
        (Arc::new(desk), requests)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change is small and complete in itself.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle through which one attempt speaks.
    pub(crate) fn notes(self: &Arc<Self>, speaker: Speaker) -> Notes {
        Notes(Some(Arc::new(Pen { desk: Arc::clone(self), speaker, lines: Mutex::default() })))
    }

    /// Takes some of what is to be written. It counts as being written until
    /// [`done`](Self::done) or [`put_back`](Self::put_back).
    pub(crate) fn take(&self) -> Vec<Said> {
        let mut books = self.books();
        let mut keys = Vec::new();
        let mut bytes = 0;
        for (key, said) in &books.waiting {
            if keys.len() >= BATCH || (bytes > 0 && bytes + said.bytes() > BATCH_BYTES) {
                break;
            }
            bytes += said.bytes();
            keys.push(*key);
        }
        let batch: Vec<Said> = keys.iter().filter_map(|key| books.waiting.remove(key)).collect();
        books.writing.extend(batch.iter().map(|said| (said.speaker.key(), said.first)));
        batch
    }

    /// These words are written, or given up.
    pub(crate) fn done(&self, batch: &[Said]) {
        let mut books = self.books();
        for said in batch {
            books.writing.remove(&said.speaker.key());
            books.bytes = books.bytes.saturating_sub(said.line_bytes());
        }
        drop(books);
        self.written.notify_waiters();
    }

    /// These words could not be written now: they wait again, before what was said meanwhile.
    pub(crate) fn put_back(&self, batch: Vec<Said>) {
        let mut books = self.books();
        for said in batch {
            let key = said.speaker.key();
            books.writing.remove(&key);
            books.waiting.entry(key).or_insert_with(|| Said::new(said.speaker, 0)).prepend(said);
        }
    }

    /// Waits until all that these attempts have said until now is written.
    pub(crate) async fn flushed(&self, keys: impl Iterator<Item = Key> + Clone) {
        let now = self.books().words;
        loop {
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if !self.books().hold(keys.clone(), now) {
                return;
            }
            self.urgent.notify_one();
            written.await;
        }
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&self) {
        self.books().checkpoints = None;
        self.news.notify_one();
        self.urgent.notify_one();
    }

    /// Whether nothing more will come.
    pub(crate) fn is_closed(&self) -> bool {
        self.books().checkpoints.is_none()
    }
}

impl Books {
    /// Whether words of these attempts up to the number `until` are not written yet.
    fn hold(&self, mut keys: impl Iterator<Item = Key>, until: u64) -> bool {
        if self.waiting.is_empty() && self.writing.is_empty() {
            return false; // nearly always
        }
        keys.any(|key| {
            let waiting = self.waiting.get(&key).map(|said| said.first);
            waiting.into_iter().chain(self.writing.get(&key).copied()).any(|word| word <= until)
        })
    }
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
    /// Says how far the job has come.
    pub(crate) fn progress(&self, word: Word) {
        let Some(pen) = &self.0 else { return };
        let mut books = pen.desk.books();
        if books.checkpoints.is_some() {
            pen.said(&mut books).progress = Some(word);
            drop(books);
            pen.desk.news.notify_one();
        }
    }

    /// Adds to the job's log: each line of `text` is one there.
    pub(crate) fn log(&self, text: &str) {
        let Some(pen) = &self.0 else { return };
        let mut lines = pen.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut books = pen.desk.books();
        if books.checkpoints.is_none() {
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
    fn said<'a>(&self, books: &'a mut Books) -> &'a mut Said {
        let speaker = self.speaker;
        books.words += 1;
        let first = books.words;
        books.waiting.entry(speaker.key()).or_insert_with(|| Said::new(speaker, first))
    }

    fn line(&self, books: &mut Books, lines: &mut Lines, text: &str) {
        let text = if usize::from(lines.last) >= limits::LOG_LINES {
            lines.too_many = true;
            TOO_MANY.to_owned()
        } else if books.bytes >= UNWRITTEN_BYTES {
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
        books.bytes += text.len() + LINE_BYTES;
        self.said(books).lines.push(Line { at: Instant::now(), number: lines.last, text });
    }

    async fn ask(&self, request: Request) -> Result<()> {
        let sender = self.desk.books().checkpoints.clone().ok_or_else(closed)?;
        sender.send(request).await.map_err(|_| closed())
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the job is in no running worker's hands: its checkpoint cannot be reached",
    )
}
