-- One job.
select id, task, queue, state, priority, attempt, max_attempts, run_at, created_at, started_at,
       finished_at, worker, payload, result, errors, tags, metadata, unique_key, timeout_ms,
       progress, expires_at, on_discarded
from lavoro.jobs
where id = $1
