-- Shows that worker $1 lives. Answers whether it is still registered, which leases it holds,
-- and which of its jobs someone wants cancelled.
with beat as (
    update lavoro.worker set beat_at = clock_timestamp() where id = $1 and ended_at is null
    returning id
)
select exists (select from beat) as alive,
       (select coalesce(array_agg(l.token), '{}') from lavoro.lease l where l.worker_id = $1) as tokens,
       (select coalesce(array_agg(c.job_id), '{}')
        from lavoro.cancel_request c
        where c.job_id in (select unnest(l.jobs) from lavoro.lease l where l.worker_id = $1)) as cancel
