//! The desk of a worker: what its handlers have said and nobody has written yet.
//!
//! No input or output happens here. What it holds is bounded: of progress only the last word of
//! each attempt, of log lines a sum of bytes.

use super::{Line, Speaker, Word};
use crate::error::Result;
use crate::json::Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// An execution in the books: the job and the token.
pub(crate) type Key = (i64, Uuid);

impl Speaker {
    fn key(&self) -> Key {
        (self.job, self.token)
    }
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

pub(super) struct Books {
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

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Every change is small and complete in itself.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
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
        !self.books().are_open()
    }
}

impl Books {
    /// Whether anybody still listens.
    pub(super) fn are_open(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// Whether there is room for one more line.
    pub(super) fn have_room(&self) -> bool {
        self.bytes < UNWRITTEN_BYTES
    }

    /// Where requests for checkpoints are sent.
    pub(super) fn keeper(&self) -> Option<mpsc::Sender<Request>> {
        self.checkpoints.clone()
    }

    /// Takes a word on a job's progress in: the last one counts.
    pub(super) fn word(&mut self, speaker: Speaker, word: Word) {
        self.said(speaker).progress = Some(word);
    }

    /// Takes a line in.
    pub(super) fn line(&mut self, speaker: Speaker, line: Line) {
        self.bytes += line.text.len() + LINE_BYTES;
        self.said(speaker).lines.push(line);
    }

    fn said(&mut self, speaker: Speaker) -> &mut Said {
        self.words += 1;
        let first = self.words;
        self.waiting.entry(speaker.key()).or_insert_with(|| Said::new(speaker, first))
    }

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
