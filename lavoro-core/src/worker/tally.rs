//! What the worker did, counted by queue and task, and recorded now and then.
//!
//! Counts of about a minute make a *slice*. Its rows are written again as they grow, whole, so
//! that sending them twice does no harm. What could not be written is kept.

use super::health::Observer;
use crate::error::Result;
use crate::histogram::Histogram;
use crate::outcome::Outcome;
use crate::service::Step;
use crate::store::{Store, TallyRow};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a slice is, or a little longer.
const SLICE: Duration = Duration::from_mins(1);
/// How many pairs of queue and task are told apart. Those beyond are counted together.
const PAIRS: usize = 500;
/// The queue and the task under which they are.
const OTHERS: &str = "(others)";

type Pair = (Arc<str>, Arc<str>);

/// What was counted of one queue and task.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) completed: u64,
    pub(super) retried: u64,
    pub(super) snoozed: u64,
    pub(super) released: u64,
    pub(super) cancelled: u64,
    pub(super) discarded: u64,
    pub(super) waited: Histogram,
    pub(super) ran: Histogram,
}

#[derive(Debug, Default)]
struct Counted {
    /// Since the worker started.
    all: Counts,
    /// In the current slice.
    slice: Counts,
    /// How often the slice was counted up, and how far that is written.
    changes: u64,
    written: u64,
}

#[derive(Debug)]
struct Books {
    pairs: HashMap<Pair, Counted>,
    slice: i64,
    /// Under which number of the worker.
    worker: i64,
    began: Instant,
    /// Rows of slices that are over, with the moment when they were, to be written.
    over: Vec<(TallyRow, Instant, Instant)>,
}

/// The counts of one worker.
#[derive(Debug)]
pub(super) struct Tally {
    books: Mutex<Books>,
    /// One at a time.
    flush: tokio::sync::Mutex<()>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let books = Books {
            pairs: HashMap::new(),
            slice: 0,
            worker: 0,
            began: Instant::now(),
            over: Vec::new(),
        };
        Self { books: Mutex::new(books), flush: tokio::sync::Mutex::new(()) }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic while the lock is held leaves at worst a count that is one short.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A first attempt began after it had been due for so long.
    pub(super) fn waited(&self, queue: &Arc<str>, task: &Arc<str>, waited: Duration) {
        self.books().count(queue, task, |counts| counts.waited.add(waited));
    }

    /// An attempt has ended with this outcome.
    pub(super) fn ended(
        &self,
        queue: &Arc<str>,
        task: &Arc<str>,
        is_last: bool,
        outcome: &Outcome,
        ran: Option<Duration>,
    ) {
        self.books().count(queue, task, |counts| {
            *match outcome {
                Outcome::Complete { .. } => &mut counts.completed,
                Outcome::Retry { .. } if !is_last => &mut counts.retried,
                Outcome::Retry { .. } | Outcome::Fail { .. } => &mut counts.discarded,
                Outcome::Snooze { .. } => &mut counts.snoozed,
                Outcome::Cancel { .. } => &mut counts.cancelled,
                Outcome::Release => &mut counts.released,
            } += 1;
            // What was broken off says nothing about how long it takes.
            if let Some(ran) = ran.filter(|_| !matches!(outcome, Outcome::Release)) {
                counts.ran.add(ran);
            }
        });
    }

    /// What was counted since the worker started.
    pub(super) fn all(&self) -> Vec<(Pair, Counts)> {
        let books = self.books();
        let pairs = books.pairs.iter();
        let mut all: Vec<_> =
            pairs.map(|(pair, counted)| (pair.clone(), counted.all.clone())).collect();
        drop(books);
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Writes what is new. What was not written is kept.
    pub(super) async fn flush(&self, store: &Store, worker: i64) -> Result<()> {
        let _one = self.flush.lock().await;
        let (rows, over, written) = self.books().take_new(worker);
        if rows.is_empty() {
            return Ok(());
        }
        store.write_tally(&rows).await?;
        let mut books = self.books();
        books.over.drain(..over);
        for (pair, changes) in written {
            if let Some(counted) = books.pairs.get_mut(&pair) {
                counted.written = changes;
            }
        }
        Ok(())
    }
}

impl Books {
    fn count(&mut self, queue: &Arc<str>, task: &Arc<str>, count: impl Fn(&mut Counts)) {
        let is_full = self.pairs.len() >= PAIRS;
        let counted = match self.pairs.entry((Arc::clone(queue), Arc::clone(task))) {
            Place::Vacant(_) if is_full => {
                self.pairs.entry((OTHERS.into(), OTHERS.into())).or_default()
            }
            place => place.or_default(),
        };
        count(&mut counted.all);
        count(&mut counted.slice);
        counted.changes += 1;
    }

    /// The rows to be written, how many of them are of slices that are over, and how far the
    /// others have been counted.
    fn take_new(&mut self, worker: i64) -> (Vec<TallyRow>, usize, Vec<(Pair, u64)>) {
        let now = Instant::now();
        if self.worker == 0 {
            self.worker = worker;
        }
        let is_over = now - self.began >= SLICE || self.worker != worker;
        // While nothing can be written the slice goes on, so that memory is bounded.
        if is_over && self.over.is_empty() {
            let began = self.began;
            let rows = self.new_rows().into_iter().map(|(row, _)| (row, began, now));
            self.over = rows.collect();
            for counted in self.pairs.values_mut() {
                (counted.slice, counted.changes, counted.written) = Default::default();
            }
            (self.slice, self.worker, self.began) = (self.slice + 1, worker, now);
        }
        let over = self.over.iter().map(|(row, began, ended)| TallyRow {
            began: now - *began,
            ended: now - *ended,
            ..row.clone()
        });
        let mut rows: Vec<TallyRow> = over.collect();
        let mut written = Vec::new();
        for (row, changed) in self.new_rows() {
            rows.push(TallyRow { began: now - self.began, ..row });
            written.push(changed);
        }
        (rows, self.over.len(), written)
    }

    /// The rows of this slice that have something new.
    fn new_rows(&self) -> Vec<(TallyRow, (Pair, u64))> {
        let new = self.pairs.iter().filter(|(_, counted)| counted.changes > counted.written);
        new.map(|(pair, counted)| {
            let (counts, whole) = (&counted.slice, |n: u64| i64::try_from(n).unwrap_or(i64::MAX));
            let classes = |h: &Histogram| h.counts().iter().map(|n| whole(*n)).collect();
            let row = TallyRow {
                worker: self.worker,
                slice: self.slice,
                queue: pair.0.to_string(),
                task: pair.1.to_string(),
                began: Duration::ZERO,
                ended: Duration::ZERO,
                changes: whole(counted.changes),
                completed: whole(counts.completed),
                retried: whole(counts.retried),
                cancelled: whole(counts.cancelled),
                discarded: whole(counts.discarded),
                waited: classes(&counts.waited),
                ran: classes(&counts.ran),
            };
            (row, (pair.clone(), counted.changes))
        })
        .collect()
    }
}

/// The loop that writes.
#[derive(Debug)]
pub(super) struct Flusher {
    store: Arc<Store>,
    observer: Observer,
    pause: Duration,
}

impl Flusher {
    pub(super) fn new(store: &Arc<Store>, observer: &Observer, pause: Duration) -> Self {
        Self { store: Arc::clone(store), observer: observer.clone(), pause }
    }
}

impl Step for Flusher {
    const NAME: &'static str = "recording what the worker did";

    async fn run_once(&mut self) -> Result<Duration> {
        let worker = self.observer.worker.load(Ordering::Acquire);
        self.observer.events.tally.flush(&self.store, worker).await.map(|()| self.pause)
    }
}
