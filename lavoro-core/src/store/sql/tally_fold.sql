-- Makes fewer rows of the tally: slices of workers that are older than an hour become one row of
-- worker 0 for each hour, whose slice is the number of the hour, and what is older than a day one
-- row (slice 0) that keeps the totals. Each row is taken by one who folds.
with slice as (
    delete from lavoro.tally
    where begun_at < statement_timestamp() - interval '1 hour' and begun_at > '-infinity' and worker_id <> 0
    returning queue, task, begun_at, updated_at, completed, retried, cancelled, discarded, waited, ran
), hour as (
    delete from lavoro.tally
    where worker_id = 0 and slice <> 0 and begun_at < statement_timestamp() - interval '1 day'
    returning queue, task, begun_at, updated_at, completed, retried, cancelled, discarded, waited, ran
), old as materialized (
    select case when begun_at < statement_timestamp() - interval '1 day' then 0
                else floor(extract(epoch from begun_at) / 3600)::bigint end as slice,
           queue, task, updated_at, completed, retried, cancelled, discarded, waited, ran
    from (
        select queue, task, begun_at, updated_at, completed, retried, cancelled, discarded, waited, ran
        from slice
        union all
        select queue, task, begun_at, updated_at, completed, retried, cancelled, discarded, waited, ran
        from hour
    ) o
), class as (
    select o.slice, o.queue, o.task, c.class, sum(c.waited) as waited, sum(c.ran) as ran
    from old o
    cross join lateral unnest(o.waited, o.ran) with ordinality as c (waited, ran, class)
    where o.slice <> 0
    group by o.slice, o.queue, o.task, c.class
), times as (
    select slice, queue, task, array_agg(coalesce(waited, 0)::bigint order by class) as waited,
           array_agg(coalesce(ran, 0)::bigint order by class) as ran
    from class
    group by slice, queue, task
), counted as (
    select slice, queue, task, max(updated_at) as updated_at, sum(completed) as completed,
           sum(retried) as retried, sum(cancelled) as cancelled, sum(discarded) as discarded
    from old
    group by slice, queue, task
)
insert into lavoro.tally as t (worker_id, slice, queue, task, begun_at, updated_at, changes, completed,
                               retried, cancelled, discarded, waited, ran)
select 0, c.slice, c.queue, c.task,
       case when c.slice = 0 then '-infinity' else to_timestamp(c.slice * 3600) end,
       case when c.slice = 0 then '-infinity' else c.updated_at end,
       0, c.completed, c.retried, c.cancelled, c.discarded,
       coalesce(x.waited, '{}'), coalesce(x.ran, '{}')
from counted c
left join times x on x.slice = c.slice and x.queue = c.queue and x.task = c.task
order by c.slice, c.queue, c.task
on conflict (worker_id, slice, queue, task) do update
set updated_at = greatest(t.updated_at, excluded.updated_at),
    completed = t.completed + excluded.completed, retried = t.retried + excluded.retried,
    cancelled = t.cancelled + excluded.cancelled, discarded = t.discarded + excluded.discarded,
    waited = array(select coalesce(u.a, 0) + coalesce(u.b, 0)
                   from unnest(t.waited, excluded.waited) with ordinality as u (a, b, class)
                   order by u.class),
    ran = array(select coalesce(u.a, 0) + coalesce(u.b, 0)
                from unnest(t.ran, excluded.ran) with ordinality as u (a, b, class)
                order by u.class)
