//! What a worker holds: its slots, the jobs in its hands, and the leases they came under.
//!
//! No input or output happens here: every method takes the lock, changes the books and returns.
//! Fetcher, handlers, finisher, heartbeat and deadlines all meet here and nowhere else.

use super::serving::Serving;
use super::slots::{Free, Slots};
use super::suspect::SuspectPlace;
use crate::job::{Job, JobId, Ticket, Times};
use crate::options::{OnLostContact, WorkerOptions};
use crate::outcome::Outcome;
use crate::retry::Backoff;
use crate::signal::{Signal, StopReason};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One execution: a job under a lease.
pub(super) type Key = (JobId, Uuid);

/// How many outcomes may wait to be recorded, unless the worker has more slots.
const UNRECORDED: usize = 2000;

/// The books of one worker.
#[derive(Debug)]
pub(super) struct Board {
    books: Mutex<Books>,
    /// Told when jobs can be handed out, or none will ever be.
    pub(super) stocked: Notify,
    /// Told when a slot has become free.
    pub(super) freed: Notify,
    /// Told when nothing is running any more.
    pub(super) drained: Notify,
    /// Every slot holds a handler that does not return though its attempt is over.
    pub(super) stuck: CancellationToken,
    /// Told when a deadline may be sooner than the one that is waited for.
    pub(super) sooner: Arc<Notify>,
}

#[derive(Debug)]
struct Books {
    slots: Slots,
    stock: VecDeque<Job>,
    running: HashMap<Key, Running>,
    /// How many attempts of each lease have not ended in the database.
    leases: HashMap<Uuid, usize>,
    /// Leases that have ended and may still have a row.
    settled: HashSet<Uuid>,
    suspect: SuspectPlace,
    deadlines: BinaryHeap<Reverse<(Instant, Key)>>,
    continuing: HashSet<String>,
    /// How long failed jobs of a task wait that do not say it themselves.
    backoff: HashMap<String, Backoff>,
    /// No more jobs are handed out.
    closed: bool,
}

/// An attempt whose handler has been given the job.
#[derive(Debug)]
struct Running {
    ticket: Ticket,
    signal: Signal,
    /// Its outcome has been decided without the handler: what that says comes too late.
    decided: bool,
    /// Since when the attempt is over though the handler has not returned.
    over_since: Option<Instant>,
}

/// What to do with a handler's outcome.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few late ones, and none is kept")]
pub(super) enum Report {
    /// Send it.
    Send(Ticket, Outcome),
    /// The attempt has been decided already, or is not ours.
    Late,
}

impl Board {
    pub(super) fn new(options: &WorkerOptions, serving: Arc<Serving>) -> Self {
        Self {
            books: Mutex::new(Books {
                slots: Slots::new(options, serving),
                stock: VecDeque::new(),
                running: HashMap::new(),
                leases: HashMap::new(),
                settled: HashSet::new(),
                suspect: SuspectPlace::default(),
                deadlines: BinaryHeap::new(),
                continuing: options.continue_on_lost_contact.iter().cloned().collect(),
                backoff: options.backoff.clone(),
                closed: false,
            }),
            stocked: Notify::new(),
            freed: Notify::new(),
            drained: Notify::new(),
            stuck: CancellationToken::new(),
            sooner: Arc::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic while the lock is held leaves the books as they are: every change is small
        // and complete in itself.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be claimed now.
    ///
    /// Outcomes that wait to be recorded hold no slots, but their number is bounded: handlers
    /// must not run ahead of the database without end.
    pub(super) fn free(&self) -> Free {
        let books = self.books();
        let unrecorded: usize =
            books.leases.values().sum::<usize>().saturating_sub(books.slots.used());
        books.slots.free(books.slots.limit().max(UNRECORDED).saturating_sub(unrecorded))
    }

    /// Asks to claim a suspect: a process holds at most one, whichever of its workers it is.
    pub(super) fn reserve_suspect(&self) -> bool {
        self.books().suspect.take()
    }

    /// No suspect came of a claim that was allowed one.
    pub(super) fn return_suspect(&self) {
        self.books().suspect.give_back();
    }

    /// Takes claimed jobs in.
    pub(super) fn stock(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut books = self.books();
        for mut job in jobs {
            job.ticket.task_backoff = books.backoff.get(&*job.ticket.task).copied();
            *books.leases.entry(job.ticket.token).or_default() += 1;
            books.slots.take(&job.ticket.queue);
            books.stock.push_back(job);
        }
        drop(books);
        self.stocked.notify_waiters();
    }

    /// Takes claimed jobs in that will not be handed out: their ends are reported at once.
    pub(super) fn hold<'a>(&self, tickets: impl Iterator<Item = &'a Ticket>) {
        let mut books = self.books();
        for ticket in tickets {
            if ticket.suspect {
                books.suspect.give_back();
            }
            *books.leases.entry(ticket.token).or_default() += 1;
        }
    }

    /// Hands out up to `max` jobs, whose attempts are running from now on. `None`: none ever
    /// will be.
    pub(super) fn hand_out(&self, max: usize) -> Option<Vec<Job>> {
        let mut books = self.books();
        if books.closed {
            return None;
        }
        let count = max.min(books.stock.len());
        let mut jobs: Vec<Job> = books.stock.drain(..count).collect();
        let mut limited = false;
        for job in &mut jobs {
            job.ticket.times =
                Times { started: Some(Instant::now()), waited: job.waited(), ran: None };
            let key = (job.ticket.id, job.ticket.token);
            if let Some(timeout) = job.timeout {
                books.deadlines.push(Reverse((Instant::now() + timeout, key)));
                limited = true;
            }
            let (ticket, signal) = (job.ticket.clone(), job.signal.clone());
            let running = Running { ticket, signal, decided: false, over_since: None };
            books.running.insert(key, running);
        }
        drop(books);
        if limited {
            self.sooner.notify_one();
        }
        Some(jobs)
    }

    /// A handler has returned: frees its slot, and says what to do with its outcome.
    pub(super) fn report(&self, key: Key, outcome: Outcome) -> Report {
        let mut books = self.books();
        let Some(mut running) = books.running.remove(&key) else { return Report::Late };
        running.ticket.times.end();
        self.release_slot(&mut books, &running.ticket);
        drop(books);
        if running.decided {
            return Report::Late;
        }
        let outcome = settle(running.signal.reason(), outcome);
        Report::Send(running.ticket, outcome)
    }

    fn release_slot(&self, books: &mut Books, ticket: &Ticket) {
        if ticket.suspect {
            books.suspect.give_back();
        }
        books.slots.release(&ticket.queue);
        self.freed.notify_one();
        if books.slots.used() == 0 {
            self.drained.notify_waiters();
        }
    }

    /// The attempts whose time is up: each is decided now, its handler told to stop, and its
    /// slot stays taken until the handler returns. Also answers when the next is due.
    pub(super) fn expire(&self, now: Instant) -> (Vec<Ticket>, Option<Instant>) {
        let mut books = self.books();
        let mut expired = Vec::new();
        while let Some(Reverse((deadline, key))) = books.deadlines.peek().copied() {
            if deadline > now {
                return (expired, Some(deadline));
            }
            books.deadlines.pop();
            if let Some(running) = books.running.get_mut(&key).filter(|running| !running.decided) {
                running.decided = true;
                running.over_since.get_or_insert(now);
                running.ticket.times.end();
                running.signal.raise(StopReason::Timeout);
                expired.push(running.ticket.clone());
            }
        }
        (expired, None)
    }

    /// The leases whose ends in the database are complete once these attempts are recorded.
    pub(super) fn ending_with<'a>(&self, attempts: impl Iterator<Item = &'a Ticket>) -> Vec<Uuid> {
        let mut counts: HashMap<Uuid, usize> = HashMap::new();
        for ticket in attempts {
            *counts.entry(ticket.token).or_default() += 1;
        }
        let books = self.books();
        let complete = |(token, count): &(Uuid, usize)| books.leases.get(token) == Some(count);
        let ending = counts.into_iter().filter(complete).map(|(token, _)| token);
        ending.chain(books.settled.iter().copied()).collect()
    }

    /// These attempts have ended in the database, by us or by others.
    pub(super) fn settle<'a>(&self, attempts: impl Iterator<Item = &'a Ticket>) {
        let mut books = self.books();
        for ticket in attempts {
            let Some(left) = books.leases.get_mut(&ticket.token) else { continue };
            *left -= 1;
            if *left == 0 {
                books.leases.remove(&ticket.token);
                books.settled.insert(ticket.token);
            }
        }
        drop(books);
        self.freed.notify_one();
    }

    /// The rows of these leases are gone.
    pub(super) fn dropped(&self, tokens: &[Uuid]) {
        let mut books = self.books();
        for token in tokens {
            books.settled.remove(token);
        }
    }

    /// Whether leases have ended whose rows may still be there.
    pub(super) fn has_settled(&self) -> bool {
        !self.books().settled.is_empty()
    }

    /// The leases that attempts are running or waiting under.
    pub(super) fn leases(&self) -> HashSet<Uuid> {
        self.books().leases.keys().copied().collect()
    }

    /// These of our leases do not stand any more: their handlers are told, their waiting jobs
    /// forgotten.
    pub(super) fn lose(&self, lost: &HashSet<Uuid>) {
        let mut books = self.books();
        for running in books.running.values_mut().filter(|r| lost.contains(&r.ticket.token)) {
            running.over_since.get_or_insert_with(Instant::now);
            running.signal.raise(StopReason::LostLease);
        }
        let (gone, kept): (VecDeque<Job>, VecDeque<Job>) =
            books.stock.drain(..).partition(|job| lost.contains(&job.ticket.token));
        books.stock = kept;
        for job in gone {
            self.release_slot(&mut books, &job.ticket);
        }
        for token in lost {
            books.leases.remove(token);
        }
        // Leases that have settled and are gone need no dropping.
        books.settled.retain(|token| !lost.contains(token));
    }

    /// Contact has been lost for nearly a lease: handlers are told to stop, and jobs that have
    /// not been handed out are taken back.
    pub(super) fn fence(&self) -> Vec<Ticket> {
        let books = self.books();
        for running in books.running.values() {
            let policy = if books.continuing.contains(&*running.ticket.task) {
                OnLostContact::Continue
            } else {
                OnLostContact::Cancel
            };
            if policy == OnLostContact::Cancel {
                running.signal.raise(StopReason::LostContact);
            }
        }
        drop(books);
        self.take_stock()
    }

    /// Someone wants these jobs cancelled: their handlers are told.
    pub(super) fn cancel(&self, jobs: &[JobId]) {
        let books = self.books();
        for running in books.running.values().filter(|r| jobs.contains(&r.ticket.id)) {
            running.signal.raise(StopReason::Cancelled);
        }
    }

    /// Hands no more jobs out. Answers those that were waiting to be, to be given back.
    pub(super) fn close(&self) -> Vec<Ticket> {
        self.books().closed = true;
        self.stocked.notify_waiters();
        self.take_stock()
    }

    fn take_stock(&self) -> Vec<Ticket> {
        let mut books = self.books();
        let stock: Vec<Job> = books.stock.drain(..).collect();
        for job in &stock {
            self.release_slot(&mut books, &job.ticket);
        }
        stock.into_iter().map(|job| job.ticket).collect()
    }

    /// The limit of a graceful stop is reached: running handlers are told. What they say counts.
    pub(super) fn ask_to_stop(&self) {
        for running in self.books().running.values() {
            running.signal.raise(StopReason::Shutdown);
        }
    }

    /// Running handlers are told to stop if they were not yet, and their attempts decided: they
    /// are given back.
    pub(super) fn abandon(&self) -> Vec<Ticket> {
        let mut books = self.books();
        let mut abandoned = Vec::new();
        for running in books.running.values_mut().filter(|running| !running.decided) {
            running.decided = true;
            running.ticket.times.end();
            running.signal.raise(StopReason::Shutdown);
            abandoned.push(running.ticket.clone());
        }
        abandoned
    }

    /// How many jobs run, how many wait to be handed out, and how many may do either at once.
    pub(super) fn load(&self) -> (usize, usize, usize) {
        let books = self.books();
        (books.running.len(), books.stock.len(), books.slots.limit())
    }

    /// Whether no handler runs and no job waits for one.
    pub(super) fn is_drained(&self) -> bool {
        self.books().slots.used() == 0
    }

    /// Whether a job waits to be handed out. `None`: none will any more.
    pub(super) fn is_stocked(&self) -> Option<bool> {
        let books = self.books();
        (!books.closed).then(|| !books.stock.is_empty())
    }

    /// Whether handlers run.
    pub(super) fn is_running(&self) -> bool {
        !self.books().running.is_empty()
    }

    /// Closes if every slot holds a handler whose attempt was over at this time. Answers whether
    /// it did so just now.
    pub(super) fn close_if_stuck(&self, before: Instant) -> bool {
        let mut books = self.books();
        let over = |running: &&Running| running.over_since.is_some_and(|since| since <= before);
        let stuck = books.running.values().filter(over).count();
        if books.closed || stuck < books.slots.limit() {
            return false;
        }
        books.closed = true;
        drop(books);
        self.stuck.cancel();
        self.stocked.notify_waiters();
        true
    }
}

/// A handler that was told to stop may say anything: unless it completed after all, the reason
/// for telling it decides.
fn settle(reason: Option<StopReason>, outcome: Outcome) -> Outcome {
    match (reason, outcome) {
        (None | Some(StopReason::LostLease | StopReason::Timeout), outcome)
        | (Some(StopReason::Cancelled), outcome @ Outcome::Cancel { .. })
        | (_, outcome @ Outcome::Complete { .. }) => outcome,
        (Some(StopReason::Cancelled), _) => Outcome::Cancel { reason: None },
        (Some(StopReason::Shutdown | StopReason::LostContact), _) => Outcome::Release,
    }
}
