-- Every queue that holds jobs or settings. Depths are sums over packs: cheap.
with ready as (
    select queue, sum(cardinality(jobs)) as jobs, min(id) as oldest from lavoro.ready group by queue
), scheduled as (
    select queue, sum(cardinality(jobs)) filter (where attempt = 0) as scheduled,
           sum(cardinality(jobs)) filter (where attempt > 0) as retrying
    from lavoro.scheduled group by queue
), running as (
    select j.queue, count(*) as jobs
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    join lavoro.job j on j.id = u.job_id
    where not exists (select from lavoro.outcome o where o.job_id = u.job_id)
    group by j.queue
), names as (
    select queue from ready union select queue from scheduled union select queue from running
    union select name from lavoro.queue
)
select n.queue, coalesce(r.jobs, 0)::bigint as available, coalesce(s.scheduled, 0)::bigint as scheduled,
       coalesce(s.retrying, 0)::bigint as retrying, coalesce(x.jobs, 0)::bigint as running,
       q.paused_at,
       (select j.created_at from lavoro.job j where j.id = r.oldest) as oldest
from names n
left join ready r on r.queue = n.queue
left join scheduled s on s.queue = n.queue
left join running x on x.queue = n.queue
left join lavoro.queue q on q.name = n.queue
order by n.queue
