-- The workers that have not ended, and those that have if $1, oldest first, with what they hold.
select w.id, w.name, w.host, w.pid, w.language, w.version, w.queues, w.tasks, w.started_at,
       w.beat_at, w.ended_at, w.lease_ms,
       (extract(epoch from clock_timestamp() - w.beat_at) * 1000)::bigint as beat_ms,
       w.beat_at < clock_timestamp() - w.lease_ms * interval '1 millisecond' as silent,
       h.running, h.suspects > 0 as suspect, h.oldest,
       (extract(epoch from clock_timestamp() - h.oldest) * 1000)::bigint as oldest_ms
from lavoro.worker w
cross join lateral (
    select count(u.job_id) as running, min(l.claimed_at) as oldest,
           count(*) filter (where u.job_id = l.suspect) as suspects
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    where l.worker_id = w.id
      and (select true from lavoro.outcome o where o.job_id = u.job_id limit 1) is null
) h
where $1 or w.ended_at is null
order by w.id
