-- The stable face of a job. Its state is derived: an outcome, else a place among the waiting,
-- else a lease.
create view lavoro.jobs as
select
    j.id,
    j.task,
    j.queue,
    case
        when o.state = 1 then 'completed'
        when o.state = 2 then 'cancelled'
        when o.state = 3 then 'discarded'
        when w.waits and w.run_at is null then 'available'
        when w.waits and w.attempt > 0 then 'retrying'
        when w.waits then 'scheduled'
        else 'running'
    end as state,
    j.priority,
    j.payload,
    coalesce(o.attempt, w.attempt, l.attempt, 0)::integer as attempt,
    j.max_attempts::integer as max_attempts,
    coalesce(w.run_at, j.run_at, j.created_at) as run_at,
    j.created_at,
    coalesce(o.started_at, l.claimed_at) as started_at,
    o.finished_at,
    (select k.name from lavoro.worker k where k.id = coalesce(o.worker_id, l.worker_id)) as worker,
    o.result,
    (select coalesce(jsonb_agg(jsonb_build_object(
                'attempt', e.attempt, 'kind', e.kind, 'message', e.message, 'counted', e.counted,
                'failed_at', e.failed_at) order by e.failed_at), '[]')
     from lavoro.error e where e.job_id = j.id) as errors,
    (select jsonb_build_object('percent', p.percent, 'message', p.message, 'data', p.data,
                               'updated_at', p.updated_at)
     from lavoro.progress p where p.job_id = j.id) as progress,
    j.tags,
    j.metadata,
    j.unique_key,
    j.timeout_ms,
    j.expires_at,
    j.on_discarded
from lavoro.job j
left join lavoro.outcome o on o.job_id = j.id
left join lateral (
    select true as waits, r.attempt, null::timestamptz as run_at
    from lavoro.ready r
    where o.job_id is null and r.queue = j.queue and r.task = j.task and r.suspect in (false, true)
      and r.priority = j.priority and r.id between j.id >> 10 << 10 and j.id and j.id = any (r.jobs)
    union all
    select true, s.attempt, s.run_at
    from lavoro.scheduled s
    where o.job_id is null and s.id between j.id >> 10 << 10 and j.id and j.id = any (s.jobs)
    limit 1
) w on true
left join lateral (
    select h.worker_id, h.claimed_at, h.attempts[array_position(h.jobs, j.id)] as attempt
    from lavoro.lease h
    where o.job_id is null and w.waits is null and j.id = any (h.jobs)
    limit 1
) l on true;
