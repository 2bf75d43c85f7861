//! What can happen. Jobs, leases and workers are picked by number, wrapped to what there is.

use proptest::prelude::*;
use proptest_derive::Arbitrary;

#[derive(Clone, Debug, Arbitrary)]
pub(super) enum Op {
    #[proptest(weight = 4)]
    Enqueue(NewJob),
    /// Several at once, which share a pack.
    #[proptest(weight = 2)]
    EnqueueMany(#[proptest(strategy = "1..6_usize")] usize, NewJob),
    #[proptest(weight = 6)]
    Claim {
        #[proptest(strategy = "0..3_usize")]
        worker: usize,
        #[proptest(strategy = "0..2_u8")]
        queue: u8,
        #[proptest(strategy = "1..5_i64")]
        slots: i64,
        #[proptest(strategy = "prop::bool::weighted(0.8)")]
        suspects: bool,
    },
    #[proptest(weight = 5)]
    Finish(usize, Ending),
    #[proptest(weight = 4)]
    GiveBack(usize, Return),
    /// By `lavoro.complete`, in a user's transaction that commits or does not.
    #[proptest(weight = 2)]
    CompleteInTransaction(usize, bool),
    /// With the token of another lease.
    #[proptest(weight = 4)]
    FinishByStranger(usize),
    #[proptest(weight = 2)]
    Cancel(usize),
    #[proptest(weight = 3)]
    Retry(usize),
    #[proptest(weight = 2)]
    Edit(usize, Edit),
    Delete(usize),
    Pause(#[proptest(strategy = "0..2_u8")] u8, bool),
    /// Everything due by this hour becomes available.
    #[proptest(weight = 2)]
    Promote(#[proptest(strategy = "0..6_i32")] i32),
    /// Everything whose time to begin is over at this hour ends.
    Expire(#[proptest(strategy = "0..6_i32")] i32),
    /// Everything that has ended is deleted, unless a lease still lists it.
    Prune,
    /// A worker is lost, and its leases are rescued.
    #[proptest(weight = 2)]
    Crash(#[proptest(strategy = "0..3_usize")] usize),
    /// A worker takes what it can and is lost, then once more: a suspect is lost alone.
    #[proptest(weight = 2)]
    Poison(#[proptest(strategy = "0..3_usize")] usize, #[proptest(strategy = "0..2_u8")] u8),
    /// One of several jobs under a lease ends and is retried while the others run.
    #[proptest(weight = 2)]
    SecondLife(#[proptest(strategy = "0..3_usize")] usize, NewJob),
}

impl Op {
    /// What is done one by one.
    pub(super) fn steps(&self) -> Vec<Self> {
        match self.clone() {
            Self::SecondLife(worker, job) => {
                let (queue, job) = (job.queue, NewJob { due: None, expires: None, ..job });
                let claim = Self::Claim { worker, queue, slots: 4, suspects: false };
                vec![
                    Self::EnqueueMany(4, job),
                    claim,
                    Self::Finish(0, Ending::Complete),
                    Self::Retry(1),
                ]
            }
            Self::Poison(worker, queue) => {
                let claim = Self::Claim { worker, queue, slots: 4, suspects: true };
                vec![claim.clone(), Self::Crash(worker), claim, Self::Crash(worker)]
            }
            other => vec![other],
        }
    }
}

#[derive(Clone, Debug, Arbitrary)]
pub(super) struct NewJob {
    #[proptest(strategy = "0..2_u8")]
    pub(super) queue: u8,
    #[proptest(strategy = "-1..2_i32")]
    pub(super) priority: i32,
    /// In how many hours it is due.
    #[proptest(strategy = "proptest::option::weighted(0.3, 1..5_i32)")]
    pub(super) due: Option<i32>,
    #[proptest(strategy = "1..4_i32")]
    pub(super) max_attempts: i32,
    #[proptest(strategy = "proptest::option::weighted(0.3, 0..3_u8)")]
    pub(super) key: Option<u8>,
    #[proptest(strategy = "proptest::option::weighted(0.3, 1..5_i32)")]
    pub(super) expires: Option<i32>,
    pub(super) has_follow_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
pub(super) enum Ending {
    Complete,
    Cancel,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
pub(super) enum Return {
    /// Counted, due in an hour; for good if it was the last attempt.
    Retry,
    /// Not counted, due in two hours.
    Snooze,
    /// Not counted, at once.
    Release,
}

#[derive(Clone, Debug, Arbitrary)]
pub(super) struct Edit {
    #[proptest(strategy = "proptest::option::of(10..20_i32)")]
    pub(super) payload: Option<i32>,
    #[proptest(strategy = "proptest::option::of(-1..2_i32)")]
    pub(super) priority: Option<i32>,
    #[proptest(strategy = "proptest::option::of(1..5_i32)")]
    pub(super) due: Option<i32>,
    #[proptest(strategy = "proptest::option::of(0..2_u8)")]
    pub(super) queue: Option<u8>,
}
