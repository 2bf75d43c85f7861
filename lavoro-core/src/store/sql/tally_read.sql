-- What workers did within the last $1 milliseconds, by queue and task. Of a slice that began
-- before that, the share that lies within counts; its times count whole.
with slice as materialized (
    select t.queue, t.task, t.completed, t.retried, t.cancelled, t.discarded, t.waited, t.ran,
           case when t.begun_at >= w.since or t.updated_at <= t.begun_at then 1
                else extract(epoch from t.updated_at - w.since)
                     / extract(epoch from t.updated_at - t.begun_at)
           end as share
    from (select statement_timestamp() - $1 * interval '1 millisecond' as since) w
    cross join lateral (
        -- Slices are about a minute long, save those that an outage kept open.
        (select t.queue, t.task, t.begun_at, t.updated_at, t.completed, t.retried, t.cancelled,
                t.discarded, t.waited, t.ran
         from lavoro.tally t
         where t.begun_at > w.since - interval '10 minutes' and t.worker_id <> 0)
        union all
        -- What is older than an hour is in rows of an hour.
        (select t.queue, t.task, t.begun_at, t.updated_at, t.completed, t.retried, t.cancelled,
                t.discarded, t.waited, t.ran
         from lavoro.tally t
         where t.worker_id = 0 and t.begun_at > w.since - interval '1 hour')
    ) t
    where t.updated_at > w.since
), class as (
    select s.queue, s.task, c.class, sum(c.waited) as waited, sum(c.ran) as ran
    from slice s
    cross join lateral unnest(s.waited, s.ran) with ordinality as c (waited, ran, class)
    group by s.queue, s.task, c.class
), times as (
    -- No class is left out: arrays begin with the first.
    select queue, task, array_agg(coalesce(waited, 0)::bigint order by class) as waited,
           array_agg(coalesce(ran, 0)::bigint order by class) as ran
    from class
    group by queue, task
), counted as (
    select queue, task, sum(completed * share)::float8 as completed, sum(retried * share)::float8 as retried,
           sum(cancelled * share)::float8 as cancelled, sum(discarded * share)::float8 as discarded
    from slice
    group by queue, task
)
select c.queue, c.task, c.completed, c.retried, c.cancelled, c.discarded,
       coalesce(t.waited, '{}') as waited, coalesce(t.ran, '{}') as ran
from counted c
left join times t on t.queue = c.queue and t.task = c.task
