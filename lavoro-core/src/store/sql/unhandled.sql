-- The lanes with waiting jobs that no live worker handles.
with waiting as materialized (
    select queue, task, sum(cardinality(jobs)) as jobs, min(id) as first
    from lavoro.ready
    group by queue, task
    union all
    select queue, task, sum(cardinality(jobs)), min(id)
    from lavoro.scheduled
    group by queue, task
), lane as materialized (
    select queue, task, sum(jobs)::bigint as jobs, min(first) as first from waiting
    group by queue, task
)
select l.queue, l.task, l.jobs,
       (select j.created_at from lavoro.job j where j.id = l.first) as oldest
from lane l
where not lavoro.has_worker(l.queue, l.task)
order by l.queue, l.task
