//! Faults put into the engine on purpose, one at a time, to see that a test goes red.
//!
//! Without the feature `sabotage` nothing of it is compiled: [`is`] is a constant `false`, and
//! [`altered`] hands its text back. With it, which only our own tests do (`make sabotage`), the
//! environment variable `LAVORO_SABOTAGE` names the one fault, a *mutant*. `tests/core/sabotage.rs`
//! says which test must see which mutant.

#[cfg(feature = "sabotage")]
mod statements;

use std::borrow::Cow;

#[cfg(all(feature = "sabotage", not(debug_assertions)))]
compile_error!("the feature `sabotage` breaks the engine: it is for tests, not for release builds");

/// Declares the mutants with their names.
macro_rules! mutants {
    ($($(#[$doc:meta])* $mutant:ident $name:literal,)*) => {
        /// What can be broken.
        #[cfg_attr(
            not(feature = "sabotage"),
            expect(dead_code, unreachable_pub, reason = "for tests, which see more of it")
        )]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $mutant,)*
        }

        /// Every mutant with its name.
        #[cfg(feature = "sabotage")]
        pub const MUTANTS: &[(Mutant, &str)] = &[$((Mutant::$mutant, $name),)*];
    };
}

mutants! {
    /// An enqueue is acknowledged before its commit is on the disk.
    AckBeforeCommit "ack_before_commit",
    /// Whoever was leased beside a crash is blamed for it.
    BlameNeighbours "blame_neighbours",
    /// Cancelling a waiting job loses the rest of its pack (`lavoro.withdraw`).
    CancelLosesPack "cancel_loses_pack",
    /// A checkpoint is saved whatever has become of the lease.
    CheckpointUnfenced "checkpoint_unfenced",
    /// Jobs of a paused queue are claimed.
    ClaimIgnoresPause "claim_ignores_pause",
    /// An outcome is given up after one failure to record it.
    DropOutcomeOnError "drop_outcome_on_error",
    /// Workers are rescued after a tenth of their lease.
    EarlyReap "early_reap",
    /// A job expires though an attempt has begun (`lavoro.expire`).
    ExpireRunning "expire_running",
    /// Who fires schedules neither locks them nor is kept from a second job for one slot.
    FireUnguarded "fire_unguarded",
    /// A claim whose reply was lost is forgotten.
    ForgetRecover "forget_recover",
    /// A claim does not put the rest of the pack back that it cuts.
    ForgetRemainder "forget_remainder",
    /// The heartbeat stops while handlers run.
    HeartbeatStops "heartbeat_stops",
    /// A lock is given to others while its lease lasts (`lavoro.lock_take`).
    LockIgnoresLease "lock_ignores_lease",
    /// A batch that is sent again after a lost reply is applied again.
    LostReplyDoubles "lost_reply_doubles",
    /// A crash that a suspect caused is not counted as its attempt.
    NoAttemptCount "no_attempt_count",
    /// A completion does not need the lease that its job is under.
    NoFence "no_fence",
    /// A rescue does not look at `beat_at` again under the lock.
    NoSecondLook "no_second_look",
    /// A worker without contact does not give its jobs up.
    NoSelfFence "no_self_fence",
    /// A rescuer judges by the server's clock alone.
    OneClock "one_clock",
    /// A worker's outcome overwrites one that stands.
    OutcomeTwice "outcome_twice",
    /// A run that is under a lease counts as ended, so that another may begin.
    OverlapIgnoresLease "overlap_ignores_lease",
    /// Promoted packs stay in `scheduled` too.
    PromoteCopies "promote_copies",
    /// Pruning takes jobs along that have not ended.
    PruneRunning "prune_running",
    /// The unique key is free once its job is claimed.
    ReleaseKeyEarly "release_key_early",
    /// A worker stays registered though its leases were taken apart.
    RescueKeepsWorker "rescue_keeps_worker",
    /// A rescue waits for a job that a user's transaction has locked.
    RescueWaits "rescue_waits",
    /// A lease still lists a job that was retried by hand (`lavoro.retry`).
    RetryKeepsLease "retry_keeps_lease",
    /// A job that is given back takes the others of its lease out of it.
    ReturnDropsMates "return_drops_mates",
    /// A slot may have two decisions and two jobs (`lavoro.slot`, `lavoro.fire`).
    SlotTwice "slot_twice",
    /// A rescuer's outcome counts as the worker's own.
    StaleIsAccepted "stale_is_accepted",
    /// A claim may take several suspects.
    SuspectsTogether "suspects_together",
    /// `lavoro.complete` does not lock the job's row.
    TxCompleteWithoutLock "tx_complete_without_lock",
}

/// Whether this is what is broken.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn is(_: Mutant) -> bool {
    false
}

// Proof for the compiler, which then leaves out every branch that asks.
#[cfg(not(feature = "sabotage"))]
const _: () = assert!(!is(Mutant::NoFence));

/// A statement as it is sent.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn altered<'a>(_: &str, text: &'a str) -> Cow<'a, str> {
    Cow::Borrowed(text)
}

/// Whether this is what is broken.
#[cfg(feature = "sabotage")]
pub fn is(mutant: Mutant) -> bool {
    chosen() == Some(mutant)
}

/// A statement as it is sent, given its name and the text of its file.
///
/// # Panics
/// If the clause that the mutant changes is not there, exactly once.
#[cfg(feature = "sabotage")]
pub fn altered<'a>(statement: &str, text: &'a str) -> Cow<'a, str> {
    let swaps = statements::SWAPS.iter().filter(|swap| is(swap.mutant));
    let swaps = swaps.filter(|swap| swap.statement == statement);
    swaps.fold(Cow::Borrowed(text), |text, swap| swapped(&text, swap.clause, swap.by).into())
}

/// A text with one clause replaced.
///
/// # Panics
/// If the clause is not there, exactly once.
#[cfg(feature = "sabotage")]
#[must_use]
pub fn swapped(text: &str, clause: &str, by: &str) -> String {
    assert_eq!(text.matches(clause).count(), 1, "{clause:?} is to be replaced in {text}");
    text.replace(clause, by)
}

/// What `LAVORO_SABOTAGE` names.
#[cfg(feature = "sabotage")]
fn chosen() -> Option<Mutant> {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("LAVORO_SABOTAGE").ok()?;
        let known = MUTANTS.iter().find(|(_, known)| *known == name);
        assert!(known.is_some(), "LAVORO_SABOTAGE names no mutant: {name:?}");
        known.map(|(mutant, _)| *mutant)
    })
}
