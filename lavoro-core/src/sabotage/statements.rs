//! Mutants that are clauses of statements: what is replaced by what.

use super::Mutant;

/// One clause of one statement.
pub(super) struct Swap {
    pub(super) mutant: Mutant,
    /// The name of its file.
    pub(super) statement: &'static str,
    pub(super) clause: &'static str,
    pub(super) by: &'static str,
}

const fn swap(
    mutant: Mutant,
    statement: &'static str,
    clause: &'static str,
    by: &'static str,
) -> Swap {
    Swap { mutant, statement, clause, by }
}

pub(super) const SWAPS: &[Swap] = &[
    swap(
        Mutant::CheckpointUnfenced,
        "checkpoint_save",
        "    join held h on h.token = i.token and i.job_id = any (h.jobs)",
        "    left join held h on h.token = i.token",
    ),
    swap(
        Mutant::ClaimIgnoresPause,
        "claim",
        "     where not exists (select from lavoro.queue q where q.name = $3 and q.paused_at is not null))",
        "     )",
    ),
    swap(Mutant::EarlyReap, "silent_workers", " w.lease_ms,", " w.lease_ms / 10 as lease_ms,"),
    swap(Mutant::EarlyReap, "silent_workers", "w.lease_ms * ", "w.lease_ms / 10 * "),
    swap(Mutant::EarlyReap, "lost_leases", "w.lease_ms * ", "w.lease_ms / 10 * "),
    swap(Mutant::FireUnguarded, "schedule_due", "\nfor update skip locked", ""),
    swap(Mutant::ForgetRemainder, "claim", " as piece) p\n)", " as piece) p\n    where false\n)"),
    swap(Mutant::LostReplyDoubles, "enqueue", "where id = $1 and seq < $2", "where id = $1"),
    swap(Mutant::LostReplyDoubles, "enqueue_lone", "where id = $1 and seq < $2", "where id = $1"),
    swap(
        Mutant::NoFence,
        "finish",
        "i.attempts[p.place] as attempt",
        "coalesce(i.attempts[p.place], 1::smallint) as attempt",
    ),
    swap(Mutant::NoFence, "finish", "where p.place is not null", "where i.job_id is not null"),
    swap(
        Mutant::NoSecondLook,
        "lost_leases",
        "(w.ended_at is not null or (w.beat_at = $2\n           \
         and w.beat_at < clock_timestamp() - w.lease_ms * interval '1 millisecond'))",
        "$2::timestamptz is not null",
    ),
    swap(
        Mutant::OutcomeTwice,
        "finish",
        "where p.place is not null\n      \
         and (select true from lavoro.outcome o where o.job_id = i.job_id limit 1) is null",
        "where p.place is not null",
    ),
    swap(
        Mutant::OutcomeTwice,
        "finish",
        "    from fresh\n    returning job_id\n",
        "    from fresh\n    on conflict (job_id) do update\n    \
         set state = excluded.state, result = excluded.result, finished_at = excluded.finished_at\n    \
         returning job_id\n",
    ),
    swap(
        Mutant::OverlapIgnoresLease,
        "schedule_read",
        "where o.job_id = t.job_id) as open",
        "where o.job_id = t.job_id)\n           \
         and not exists (select from lavoro.lease l where t.job_id = any (l.jobs)) as open",
    ),
    swap(
        Mutant::PromoteCopies,
        "promote",
        "(select at from due)",
        "(select at from due where false)",
    ),
    swap(
        Mutant::PruneRunning,
        "prune",
        "delete from lavoro.job j where j.id = any (array(select job_id from gone))",
        "delete from lavoro.job j using mark m\n    \
         where j.id >= m.low and j.id < m.high and exists (select from gone)",
    ),
    swap(
        Mutant::ReleaseKeyEarly,
        "claim",
        "), lease as (",
        "), early as (\n    \
         delete from lavoro.unique_key k where k.job_id in (select job_id from member)\n), lease as (",
    ),
    swap(
        Mutant::RescueKeepsWorker,
        "worker_rescued",
        "where id = $1 and ended_at is null",
        "where id = $1 and ended_at is null and false",
    ),
    swap(Mutant::RescueWaits, "hold", "for no key update skip locked", "for no key update"),
    swap(
        Mutant::ReturnDropsMates,
        "give_back",
        "    where not exists (select from fresh f where f.token = l.token and f.job_id = l.job_id)\n",
        "    where false\n",
    ),
    swap(
        Mutant::StaleIsAccepted,
        "recorded",
        "                  and e.kind = 'lost')",
        "                  and e.kind = 'nobody says so')",
    ),
    swap(Mutant::SuspectsTogether, "claim", "\n      and (place = 1 or not suspect)", ""),
];
