-- Jobs, newest first, below id $1, with state $2, task $3 and queue $4 (null: any).
select id, task, queue, state, priority, attempt, max_attempts, run_at, created_at, started_at,
       finished_at, worker, payload, result, errors, tags, metadata, unique_key,
       progress, expires_at, on_discarded
from lavoro.jobs
where ($1::bigint is null or id < $1) and ($2::text is null or state = $2)
  and ($3::text is null or task = $3) and ($4::text is null or queue = $4)
order by id desc
limit $5
