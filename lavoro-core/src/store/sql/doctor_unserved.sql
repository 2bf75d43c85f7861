-- Jobs that may run now and that no living worker has a handler for, and since when they wait.
-- Paused queues wait by somebody's will.
with waiting as (
    select r.queue, r.task, sum(cardinality(r.jobs))::bigint as jobs, min(r.id) as oldest
    from lavoro.ready r
    where not exists (select from lavoro.queue q where q.name = r.queue and q.paused_at is not null)
    group by r.queue, r.task
)
select w.queue, w.task, w.jobs,
       (select extract(epoch from clock_timestamp() - coalesce(j.run_at, j.created_at))::bigint
        from lavoro.job j where j.id = w.oldest) as seconds
from waiting w
where not lavoro.has_worker(w.queue, w.task)
order by w.jobs desc
limit 20
