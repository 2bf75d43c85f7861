-- What queues hold, by task; a queue without jobs that someone has paused has one row without a
-- task. Depths are sums over packs: cheap. The oldest is looked for among the first packs of
-- each lane.
with lane as materialized (
    select queue, task, suspect, priority, sum(cardinality(jobs)) as jobs
    from lavoro.ready
    group by queue, task, suspect, priority
), ready as (
    select l.queue, l.task, sum(l.jobs) as jobs, min(h.due_at) as due_at
    from lane l
    cross join lateral (
        select min(coalesce(j.run_at, j.created_at)) as due_at
        from (
            select r.id
            from lavoro.ready r
            where r.queue = l.queue and r.task = l.task and r.suspect = l.suspect
              and r.priority = l.priority
            order by r.id
            limit 4
        ) r
        cross join lateral (select run_at, created_at from lavoro.job where id = r.id limit 1) j
    ) h
    group by l.queue, l.task
), scheduled as (
    select queue, task, sum(cardinality(jobs)) filter (where attempt = 0) as scheduled,
           sum(cardinality(jobs)) filter (where attempt > 0) as retrying
    from lavoro.scheduled
    group by queue, task
), running as (
    select j.queue, j.task, count(*) as jobs
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    cross join lateral (select queue, task from lavoro.job where id = u.job_id limit 1) j
    where (select true from lavoro.outcome o where o.job_id = u.job_id limit 1) is null
    group by j.queue, j.task
), name as materialized (
    select queue, task from ready
    union select queue, task from scheduled
    union select queue, task from running
    union select name, null from lavoro.queue where paused_at is not null
)
select n.queue, n.task, coalesce(r.jobs, 0)::bigint as available,
       coalesce(s.scheduled, 0)::bigint as scheduled, coalesce(s.retrying, 0)::bigint as retrying,
       coalesce(x.jobs, 0)::bigint as running, q.paused_at,
       (extract(epoch from clock_timestamp() - r.due_at) * 1000)::bigint as oldest_ms,
       (r.jobs > 0 or s.scheduled > 0 or s.retrying > 0)
           and not lavoro.has_worker(n.queue, n.task) as unhandled
from name n
left join ready r on r.queue = n.queue and r.task = n.task
left join scheduled s on s.queue = n.queue and s.task = n.task
left join running x on x.queue = n.queue and x.task = n.task
left join lavoro.queue q on q.name = n.queue
order by n.queue, n.task nulls first
