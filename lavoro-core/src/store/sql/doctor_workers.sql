-- Workers that have not ended or that still hold leases, with their silence and the jobs they
-- hold. A lease whose worker is unknown is listed without one.
with held as (
    select l.worker_id, count(*)::bigint as jobs
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    where not exists (select from lavoro.outcome o where o.job_id = u.job_id)
    group by l.worker_id
)
select coalesce(w.name, 'an unknown worker') as name, coalesce(w.version, '?') as version,
       coalesce(w.ended_at is not null, true) as ended,
       coalesce(extract(epoch from clock_timestamp() - w.beat_at), 0)::bigint as silent_seconds,
       coalesce(w.lease_ms, 15000)::bigint as lease_ms,
       coalesce(h.jobs, 0) as jobs
from held h
full join lavoro.worker w on w.id = h.worker_id
where w.ended_at is null or h.jobs > 0
order by w.id
limit 1000
