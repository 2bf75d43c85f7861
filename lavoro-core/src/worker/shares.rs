//! Sharing a worker's free slots among queues that have work.
//!
//! Where the slots suffice, each queue gets all it may have. Where they do not, queues get them
//! in proportion to their weights: the one that has had the least for its weight goes first
//! (stride scheduling: Waldspurger and Weihl, 1995). Nothing is kept free for a queue without
//! work, and a queue that had none for a while has saved nothing up.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A queue that has work.
#[derive(Clone, Debug)]
pub(super) struct Claimant {
    pub(super) queue: Arc<str>,
    /// The entry of the worker's options that serves it: queues that one wildcard stands for
    /// share their slots and their weight.
    pub(super) entry: Arc<str>,
    pub(super) weight: u32,
    /// How many slots its entry has free.
    pub(super) free: usize,
}

/// What each queue has had so far, in slots divided by weight.
#[derive(Debug, Default)]
pub(super) struct Shares {
    had: BTreeMap<Arc<str>, f64>,
}

impl Shares {
    /// How many of `total` free slots each queue may fill now, the one that goes first first.
    /// The shares may add up to more than there is: whoever comes later takes what is left.
    pub(super) fn allot(&mut self, claimants: &[Claimant], total: usize) -> Vec<(Arc<str>, usize)> {
        self.admit(claimants);
        let mut order: Vec<&Claimant> = claimants.iter().collect();
        order.sort_by(|a, b| self.had(&a.queue).total_cmp(&self.had(&b.queue)));
        let mut entries: BTreeMap<&str, (usize, u32, usize)> = BTreeMap::new();
        for claimant in claimants {
            let (count, ..) =
                entries.entry(&claimant.entry).or_insert((0, claimant.weight, claimant.free));
            *count += 1;
        }
        let wanted: usize = entries.values().map(|(_, _, free)| *free).sum();
        let weights: u64 = entries.values().map(|(_, weight, _)| u64::from(*weight)).sum();
        let share = |claimant: &Claimant| {
            let count = entries.get(&*claimant.entry).map_or(1, |(count, ..)| *count);
            let of_total = if wanted <= total {
                claimant.free
            } else {
                let exact = total as u64 * u64::from(claimant.weight) / weights.max(1);
                claimant.free.min(usize::try_from(exact).unwrap_or(usize::MAX))
            };
            (of_total / count).max(1).min(claimant.free)
        };
        order.into_iter().map(|claimant| (Arc::clone(&claimant.queue), share(claimant))).collect()
    }

    /// A queue has filled slots.
    pub(super) fn took(&mut self, claimant: &Claimant, slots: usize) {
        let had = self.had.entry(Arc::clone(&claimant.queue)).or_default();
        *had += slots as f64 / f64::from(claimant.weight.max(1));
    }

    /// Forgets queues without work; a new one starts where the least served one stands.
    fn admit(&mut self, claimants: &[Claimant]) {
        self.had.retain(|queue, _| claimants.iter().any(|claimant| claimant.queue == *queue));
        let least = self.had.values().copied().reduce(f64::min).unwrap_or(0.0);
        for claimant in claimants {
            self.had.entry(Arc::clone(&claimant.queue)).or_insert(least);
        }
    }

    fn had(&self, queue: &str) -> f64 {
        self.had.get(queue).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(queue: &str, entry: &str, weight: u32, free: usize) -> Claimant {
        Claimant { queue: queue.into(), entry: entry.into(), weight, free }
    }

    /// What each queue gets of `total` slots that are freed all at once, `rounds` times, when
    /// every queue has work without end.
    fn serve(claimants: &[Claimant], total: usize, rounds: usize) -> BTreeMap<String, usize> {
        let mut shares = Shares::default();
        let mut served = BTreeMap::new();
        for _ in 0..rounds {
            let mut left = total;
            for (queue, slots) in shares.allot(claimants, total) {
                let got = slots.min(left);
                left -= got;
                let claimant = claimants.iter().find(|c| c.queue == queue).unwrap();
                shares.took(claimant, got);
                *served.entry(queue.to_string()).or_default() += got;
            }
        }
        served
    }

    #[test]
    fn where_slots_suffice_each_queue_gets_all_it_may_have() {
        let queues = [claimant("a", "a", 1, 10), claimant("b", "b", 9, 5)];
        let mut shares = Shares::default().allot(&queues, 15);
        shares.sort();
        assert_eq!(shares, [("a".into(), 10), ("b".into(), 5)]);
    }

    #[test]
    fn scarce_slots_are_shared_by_weight() {
        let queues = [claimant("a", "a", 1, 20), claimant("b", "b", 3, 20)];
        assert_eq!(serve(&queues, 20, 10), [("a".into(), 50), ("b".into(), 150)].into());
    }

    #[test]
    fn a_single_slot_goes_round_by_weight_too() {
        let queues = [claimant("a", "a", 1, 1), claimant("b", "b", 3, 1)];
        let served = serve(&queues, 1, 400);
        assert!(served["a"].abs_diff(100) <= 1 && served["b"].abs_diff(300) <= 1, "{served:?}");
    }

    #[test]
    fn queues_of_one_wildcard_share_its_slots_evenly() {
        let queues = ["m1", "m2", "m3"].map(|queue| claimant(queue, "m*", 1, 3));
        assert_eq!(
            serve(&queues, 3, 10),
            [("m1".into(), 10), ("m2".into(), 10), ("m3".into(), 10)].into()
        );
    }

    #[test]
    fn a_queue_that_was_away_has_saved_nothing_up() {
        let (a, b) = (claimant("a", "a", 1, 1), claimant("b", "b", 1, 1));
        let mut shares = Shares::default();
        for _ in 0..1000 {
            shares.allot(std::slice::from_ref(&a), 1);
            shares.took(&a, 1);
        }
        let both = [a.clone(), b.clone()];
        let mut first = Vec::new();
        for _ in 0..10 {
            let (queue, _) = shares.allot(&both, 1).remove(0);
            shares.took(if queue == a.queue { &a } else { &b }, 1);
            first.push(queue);
        }
        assert_eq!(first.iter().filter(|queue| **queue == a.queue).count(), 5);
    }
}
