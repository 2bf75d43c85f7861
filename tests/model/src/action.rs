//! What can happen. Numbers are positions in the state.

/// One step: a statement of the engine, or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A heartbeat's worth of time passes. Whoever has contact has beaten before.
    Tick,
    /// The database cannot be reached any more: open transactions are rolled back.
    Down,
    /// It can be reached again.
    Up,
    /// The server's clock jumps ahead by more than a lease.
    Jump,
    /// `worker_beat.sql`; a worker that was ended registers again: `worker_start.sql`.
    Beat(usize),
    /// The worker's process does nothing from now on (a debugger, a swapped machine).
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// The worker's process dies. What it has sent may still be run.
    Crash(usize),
    /// The worker sends `claim.sql`.
    Claim(usize),
    /// The server runs a statement: `claim.sql`, `finish.sql`, or `hold.sql` with `give_back.sql`.
    /// The first run of `finish.sql` takes its snapshot, the second acts on it.
    Run(usize),
    /// A statement gives up waiting for a lock after 200 ms.
    Timeout(usize),
    /// The sender stops waiting for a statement; it may be run, or not, for ever after.
    Lose(usize),
    /// A statement that nobody waits for never arrives.
    Vanish(usize),
    /// `claim_void.sql`
    Void(usize),
    /// `claimed.sql`
    Claimed(usize),
    /// The handler of an attempt returns; its end is sent: worker, attempt.
    Report(usize, usize),
    /// The handler fails, snoozes or is stopped; the job is sent back: worker, attempt.
    Return(usize, usize),
    /// An outcome is sent again: worker, attempt.
    Resend(usize, usize),
    /// `standing.sql` and `recorded.sql`: worker, attempt.
    Recorded(usize, usize),
    /// `lease_drop.sql`, or `finish.sql` for a lease that has settled: lease.
    Drop(usize),
    /// The handler opens a transaction and calls `lavoro.complete` (migrations,
    /// `0004_lifecycle.sql`), which locks the job's row: worker, attempt.
    Open(usize, usize),
    /// `lavoro.complete` goes on: it locks the lease and inserts the outcome.
    Complete(usize),
    /// The user's transaction commits.
    Commit(usize),
    /// The user's transaction is rolled back.
    Rollback(usize),
    /// `lavoro.retry` (`job_retry.sql`)
    Retry(usize),
    /// `lavoro.cancel` (`job_cancel.sql`) of a job that waits.
    Cancel(usize),
    /// `silent_workers.sql`: the rescuer looks, and may judge a worker lost.
    Scan(Option<usize>),
    /// `lost_leases.sql`: it locks the worker's row.
    Lock,
    /// `hold.sql`: it locks the leases, and the jobs that nobody else has locked.
    Hold,
    /// `finish.sql`, `give_back.sql`, `lease_drop.sql` and commit.
    Rescue,
    /// `worker_lost.sql`
    End,
    /// The rescuer's process dies and another begins.
    Restart,
}
