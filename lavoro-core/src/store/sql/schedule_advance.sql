-- Records the decisions $6 to $10 that enqueue nothing, and that the schedules $1 have come from $2 to
-- $3, are to be looked at again at $4, and what $5 waits. $11: their latest jobs, or null. $12: what
-- keeps a schedule from firing. Answers how many came from there.
with noted as (
    insert into lavoro.slot (schedule_id, slot, decided_at, decision, reason, until)
    select u.schedule_id, u.slot, clock_timestamp(), u.decision, u.reason, u.until
    from unnest($6::bigint[], $7::timestamptz[], $8::text[], $9::text[], $10::timestamptz[])
         as u (schedule_id, slot, decision, reason, until)
    on conflict do nothing
), moved as (
    update lavoro.schedule_state t
    set decided = greatest(t.decided, u.after), next_at = u.next_at, queued = u.queued,
        job_id = coalesce(u.job_id, t.job_id)
    from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[],
                $5::timestamptz[], $11::bigint[]) as u (id, before, after, next_at, queued, job_id)
    where t.schedule_id = u.id and t.decided = u.before
    returning t.schedule_id
), troubled as (
    update lavoro.schedule c
    set problem = u.problem
    from unnest($1::bigint[], $12::text[]) as u (id, problem)
    where c.id = u.id and c.problem is distinct from u.problem
)
select (select count(*) from moved) as moved,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
