-- Saves checkpoints ($3) of running jobs ($1: each once) under their leases ($2; $4: each once).
-- Jobs that their lease does not list any more are left out of the answer.
--
-- The lock on a lease conflicts with its rescue and with whoever gives a job back, and not with
-- a completion that is pending in a user's transaction (FOR KEY SHARE). A lease that a rescue
-- has just taken apart is read again in its new form. So an attempt can never overwrite what a
-- later one has saved.
with input as materialized (
    select i.job_id, i.token, i.data
    from unnest($1::bigint[], $2::uuid[], $3::text[]) as i (job_id, token, data)
), held as materialized (
    select l.token, l.jobs
    from lavoro.lease l
    where l.token = any ($4::uuid[])
    order by l.token
    for share
), fresh as materialized (
    select i.job_id, i.data
    from input i
    join held h on h.token = i.token and i.job_id = any (h.jobs)
    where (select true from lavoro.outcome o where o.job_id = i.job_id limit 1) is null
)
insert into lavoro.checkpoint as c (job_id, saved_at, data)
select f.job_id, clock_timestamp(), f.data::jsonb
from fresh f
order by f.job_id
on conflict (job_id) do update
set saved_at = excluded.saved_at, data = excluded.data
returning c.job_id
