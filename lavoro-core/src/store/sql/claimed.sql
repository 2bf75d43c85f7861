-- What lease $1 holds: for a worker whose claim was committed but whose reply was lost.
select j.id, m.attempt, j.id is not distinct from l.suspect as suspect,
       j.unique_key is not null as keyed, j.max_attempts, j.priority, j.timeout_ms, j.created_at,
       l.claimed_at, j.task, j.backoff::text as backoff, j.metadata::text as metadata, j.tags,
       j.payload::text as payload, m.place::integer as place, 1 as packs,
       j.expires_at is not null and j.expires_at <= l.claimed_at and m.attempt = 1 as expired,
       coalesce(j.run_at, j.created_at) as due_at
from lavoro.lease l
cross join lateral unnest(l.jobs, l.attempts) with ordinality as m (job_id, attempt, place)
join lavoro.job j on j.id = m.job_id
where l.token = $1
order by m.place
