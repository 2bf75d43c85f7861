-- Shows that worker $1 lives. Answers whether it is still registered and which leases it holds.
with beat as (
    update lavoro.worker set beat_at = clock_timestamp() where id = $1 and ended_at is null
    returning id
)
select exists (select from beat) as alive,
       (select coalesce(array_agg(l.token), '{}') from lavoro.lease l where l.worker_id = $1) as tokens
