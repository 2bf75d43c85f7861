-- Locks leases $1 and those of their jobs $2 (null: all) that no user's transaction is
-- completing, so that a second statement, which then sees what has been committed meanwhile,
-- can give them back.
with held as materialized (
    select l.token, l.suspect, l.jobs, l.attempts
    from lavoro.lease l
    where l.token = any ($1::uuid[])
    order by l.token
    for no key update
)
select h.token, h.job_id, h.attempt, h.suspect, j.max_attempts, j.backoff::text as backoff,
       j.unique_key is not null as keyed, j.exclusive
from (
    select h.token, u.job_id, u.attempt, u.job_id is not distinct from h.suspect as suspect
    from held h
    cross join lateral unnest(h.jobs, h.attempts) as u (job_id, attempt)
    where $2::bigint[] is null or u.job_id = any ($2)
    order by u.job_id
) h
cross join lateral (
    select j.max_attempts, j.backoff, j.unique_key,
           coalesce(j.metadata #>> '{schedule,on_lost}' = 'hold', false) as exclusive
    from lavoro.job j
    where j.id = h.job_id
    for no key update skip locked
) j
