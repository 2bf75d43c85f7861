-- The newest discarded jobs, up to $1. By the index of what did not complete: a list by state
-- would walk over all that did.
with ended as (
    select o.job_id
    from lavoro.outcome o
    where o.state = 3 and o.state <> 1
    order by o.job_id desc
    limit $1
)
select j.id, j.task, j.queue, j.state, j.priority, j.attempt, j.max_attempts, j.run_at, j.created_at,
       j.started_at, j.finished_at, j.worker, j.payload, j.result, j.errors, j.tags, j.metadata,
       j.unique_key, j.progress, j.expires_at, j.on_discarded
from ended e
join lavoro.jobs j on j.id = e.job_id
order by j.id desc
