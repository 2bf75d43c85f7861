//! Warning of jobs that nobody handles.
//!
//! An enqueue only raises a flag: one look into two maps, without a copy of a name or a word to
//! the database. A loop behind asks, for all flags at once and seldom, whether a live worker
//! handles what was enqueued.

use super::Lavoro;
use crate::error::Result;
use crate::new_job::CheckedJob;
use crate::service::{Service, Step};
use crate::store::Store;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// How long a new queue and task wait for the first look: a worker may be starting just now.
const GRACE: Duration = Duration::from_secs(1);
/// The least time between two questions to the database.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer holds.
const AGAIN: Duration = Duration::from_mins(1);
/// The least time between two warnings of the same queue and task.
const SILENCE: Duration = Duration::from_mins(5);
/// How many pairs of queue and task are watched at most: some programs make names up.
const LANES: usize = 10_000;

/// What is enqueued through a client, and whether anybody handles it.
#[derive(Debug)]
pub(super) struct Consumers {
    lanes: Arc<Lanes>,
    service: Mutex<Option<Service>>,
}

/// By queue, then by task.
#[derive(Debug, Default)]
struct Lanes {
    known: RwLock<HashMap<String, HashMap<String, Lane>>>,
    wanted: Arc<Notify>,
}

/// A queue and a task.
#[derive(Debug)]
struct Lane {
    /// Something was enqueued since the last look.
    wanted: AtomicBool,
    look_at: Instant,
    warn_at: Instant,
}

impl Consumers {
    /// Starts the loop. It ends with this.
    pub(super) fn start(runtime: &Handle, store: Arc<Store>) -> Self {
        let lanes = Arc::<Lanes>::default();
        let watch = Watch { store, lanes: Arc::clone(&lanes), asked: None };
        let service = Service::start(runtime, watch, Arc::clone(&lanes.wanted));
        Self { lanes, service: Mutex::new(Some(service)) }
    }

    /// Ends the loop.
    pub(super) async fn close(&self) {
        if let Some(service) = self.service.lock().await.take() {
            service.stop().await;
        }
    }
}

impl Lavoro {
    /// A job is being enqueued.
    pub(super) fn note(&self, job: &CheckedJob) {
        if let Some(consumers) = &self.inner.consumers {
            consumers.lanes.note(&job.queue, &job.task);
        }
    }
}

impl Lanes {
    fn note(&self, queue: &str, task: &str) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = known.get(queue).and_then(|tasks| tasks.get(task)) {
            // A look first: a flag that is up already costs other threads nothing.
            if !lane.wanted.load(Ordering::Relaxed) && !lane.wanted.swap(true, Ordering::Relaxed) {
                self.wanted.notify_one();
            }
            return;
        }
        drop(known);
        self.add(queue, task);
    }

    fn add(&self, queue: &str, task: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(HashMap::len).sum::<usize>() >= LANES {
            return;
        }
        let now = Instant::now();
        let lane = Lane { wanted: AtomicBool::new(true), look_at: now + GRACE, warn_at: now };
        known.entry(queue.to_owned()).or_default().entry(task.to_owned()).or_insert(lane);
        drop(known);
        self.wanted.notify_one();
    }

    /// The lanes to ask for now, and when the next is to be asked for.
    fn due(&self, now: Instant) -> (Vec<(String, String)>, Option<Instant>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (queue, tasks) in &*known {
            for (task, lane) in tasks {
                if !lane.wanted.load(Ordering::Relaxed) {
                    continue;
                }
                if lane.look_at <= now {
                    due.push((queue.clone(), task.clone()));
                } else {
                    next = Some(next.map_or(lane.look_at, |next| next.min(lane.look_at)));
                }
            }
        }
        (due, next)
    }

    /// Takes answers in. Answers the lanes to warn of.
    fn settle(&self, answers: Vec<(String, String, bool)>, now: Instant) -> Vec<(String, String)> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut warn = Vec::new();
        for (queue, task, handled) in answers {
            let lane = known.get_mut(&queue).and_then(|tasks| tasks.get_mut(&task));
            let Some(lane) = lane else { continue };
            *lane.wanted.get_mut() = false;
            lane.look_at = now + AGAIN;
            if !handled && lane.warn_at <= now {
                lane.warn_at = now + SILENCE;
                warn.push((queue, task));
            }
        }
        warn
    }
}

/// The loop.
struct Watch {
    store: Arc<Store>,
    lanes: Arc<Lanes>,
    asked: Option<Instant>,
}

impl Step for Watch {
    const NAME: &'static str = "looking for workers";

    async fn run_once(&mut self) -> Result<Duration> {
        let now = Instant::now();
        if let Some(wait) =
            self.asked.and_then(|asked| (asked + INTERVAL).checked_duration_since(now))
            && !wait.is_zero()
        {
            return Ok(wait);
        }
        let (due, next) = self.lanes.due(now);
        if due.is_empty() {
            let wait = next.map(|next| next.saturating_duration_since(now));
            return Ok(wait.unwrap_or(Duration::from_hours(1)));
        }
        self.asked = Some(now);
        // An answer that does not come is asked for again later: this is advice, and whoever
        // enqueues is told of a database that does not answer.
        let Ok(answers) = self.store.handled(due).await else { return Ok(INTERVAL) };
        for (queue, task) in self.lanes.settle(answers, Instant::now()) {
            tracing::warn!(
                queue,
                task,
                "no live worker handles this task in this queue: its jobs wait"
            );
        }
        Ok(INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(task: &str, handled: bool) -> Vec<(String, String, bool)> {
        vec![("q".to_owned(), task.to_owned(), handled)]
    }

    #[test]
    fn a_lane_is_asked_for_after_a_grace_and_then_seldom() {
        let lanes = Lanes::default();
        let start = Instant::now();
        lanes.note("q", "t");
        assert!(lanes.due(start).0.is_empty());
        assert!(lanes.due(start).1.is_some(), "it is due later");
        let at = start + GRACE * 2;
        assert_eq!(lanes.due(at).0, [("q".to_owned(), "t".to_owned())]);
        assert_eq!(lanes.settle(answer("t", true), at), []);
        assert_eq!(lanes.due(at + AGAIN * 2), (vec![], None), "nothing was enqueued since");
        lanes.note("q", "t");
        assert!(lanes.due(at + AGAIN / 2).0.is_empty());
        assert_eq!(lanes.due(at + AGAIN).0.len(), 1);
    }

    #[test]
    fn a_warning_is_not_repeated_for_a_while() {
        let lanes = Lanes::default();
        let start = Instant::now() + GRACE;
        for task in ["t", "u"] {
            lanes.note("q", task);
        }
        assert_eq!(lanes.settle(answer("t", false), start).len(), 1);
        assert_eq!(lanes.settle(answer("t", false), start + SILENCE / 2), []);
        assert_eq!(lanes.settle(answer("u", false), start).len(), 1, "each lane for itself");
        assert_eq!(lanes.settle(answer("t", false), start + SILENCE).len(), 1);
        assert_eq!(lanes.settle(answer("gone", false), start), []);
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let lanes = Lanes::default();
        for n in 0..LANES + 10 {
            lanes.note(&n.to_string(), "t");
        }
        let known = lanes.known.read().unwrap();
        assert_eq!(known.values().map(HashMap::len).sum::<usize>(), LANES);
    }
}
