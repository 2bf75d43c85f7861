//! The places of a worker: how many jobs may run at once, and how many do.

use super::serving::Serving;
use super::shares::Claimant;
use crate::options::WorkerOptions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The slots of each entry of the worker's options, and of all together.
#[derive(Debug)]
pub(super) struct Slots {
    serving: Arc<Serving>,
    entries: BTreeMap<Arc<str>, Count>,
    total: Count,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    limit: usize,
    used: usize,
}

impl Count {
    fn new(limit: u32) -> Self {
        Self { limit: limit as usize, used: 0 }
    }

    fn free(self) -> usize {
        self.limit.saturating_sub(self.used)
    }
}

/// What may be claimed now.
#[derive(Debug, Default)]
pub(super) struct Free {
    /// Over all queues.
    pub(super) total: usize,
    entries: BTreeMap<Arc<str>, usize>,
}

impl Free {
    /// How many jobs may be claimed for an entry of the worker's options.
    pub(super) fn of(&self, entry: &str) -> usize {
        self.entries.get(entry).map_or(0, |free| (*free).min(self.total))
    }
}

impl Slots {
    pub(super) fn new(options: &WorkerOptions, serving: Arc<Serving>) -> Self {
        let limits = options.queues.values().map(|queue| queue.concurrency);
        let sum = limits.fold(0, |sum: u32, limit| sum.saturating_add(limit));
        let entry = |(name, queue): (&String, &crate::options::QueueOptions)| {
            (Arc::from(name.as_str()), Count::new(queue.concurrency))
        };
        Self {
            serving,
            entries: options.queues.iter().map(entry).collect(),
            total: Count::new(options.concurrency.unwrap_or(sum)),
        }
    }

    /// What is free, if no more than `room` jobs may be taken in.
    pub(super) fn free(&self, room: usize) -> Free {
        let entries = self.entries.iter().map(|(entry, count)| (Arc::clone(entry), count.free()));
        Free { total: self.total.free().min(room), entries: entries.collect() }
    }

    /// A job of this queue takes a slot.
    pub(super) fn take(&mut self, queue: &str) {
        self.total.used += 1;
        if let Some(count) = self.entry(queue) {
            count.used += 1;
        }
    }

    /// A job of this queue leaves its slot.
    pub(super) fn release(&mut self, queue: &str) {
        self.total.used -= 1;
        if let Some(count) = self.entry(queue) {
            count.used -= 1;
        }
    }

    fn entry(&mut self, queue: &str) -> Option<&mut Count> {
        if self.entries.contains_key(queue) {
            return self.entries.get_mut(queue);
        }
        let (entry, _) = self.serving.entry(queue)?;
        self.entries.get_mut(&entry)
    }

    /// How many jobs may run at once.
    pub(super) fn limit(&self) -> usize {
        self.total.limit
    }

    /// How many do, or wait for their handlers.
    pub(super) fn used(&self) -> usize {
        self.total.used
    }
}

/// A queue as it stands for free slots, if there are any for it.
pub(super) fn claimant(serving: &Serving, free: &Free, queue: &Arc<str>) -> Option<Claimant> {
    let (entry, weight) = serving.entry(queue)?;
    let free = free.of(&entry);
    (free > 0).then(|| Claimant { queue: Arc::clone(queue), entry, weight, free })
}
