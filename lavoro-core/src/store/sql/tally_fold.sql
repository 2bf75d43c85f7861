-- Adds the counts of slices older than a day to those of worker 0, so that totals only grow, and
-- deletes the slices.
with old as (
    delete from lavoro.tally t
    where t.begun_at < statement_timestamp() - interval '1 day' and t.worker_id <> 0
    returning t.queue, t.task, t.completed, t.retried, t.cancelled, t.discarded
)
insert into lavoro.tally as t (worker_id, slice, queue, task, begun_at, updated_at, changes, completed,
                               retried, cancelled, discarded, waited, ran)
select 0, 0, o.queue, o.task, '-infinity', '-infinity', 0, sum(o.completed), sum(o.retried), sum(o.cancelled),
       sum(o.discarded), '{}', '{}'
from old o
group by o.queue, o.task
order by o.queue, o.task
on conflict (worker_id, slice, queue, task) do update
set completed = t.completed + excluded.completed, retried = t.retried + excluded.retried,
    cancelled = t.cancelled + excluded.cancelled, discarded = t.discarded + excluded.discarded
