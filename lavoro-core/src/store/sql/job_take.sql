-- Takes job $1, wherever it waits, into a new lease $2 of worker $3: for tests that run one job.
-- Answers a row as a claim does, with the queue behind it; none if the job does not wait.
with taken as materialized (
    select w.suspect, (w.attempts + 1)::smallint as attempt
    from lavoro.withdraw($1) w
    where w.attempts is not null
), lease as (
    insert into lavoro.lease (token, worker_id, claimed_at, suspect, jobs, attempts)
    select $2, $3, clock_timestamp(), case when t.suspect then $1 end, array[$1], array[t.attempt]
    from taken t
    returning claimed_at
)
select j.id, t.attempt, t.suspect, j.unique_key is not null as keyed, j.max_attempts, j.priority,
       j.timeout_ms, j.created_at, l.claimed_at, j.task, j.backoff::text as backoff,
       j.metadata::text as metadata, j.tags, j.payload::text as payload, 1 as place, 1 as packs,
       false as expired, coalesce(j.run_at, j.created_at) as due_at, j.queue
from taken t
cross join lease l
join lavoro.job j on j.id = $1
