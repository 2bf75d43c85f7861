-- What is known of job $1 beside the view: where it waits, who holds it, what stands in its way.
-- What lies ahead of it in its lane is counted up to $2 packs.
select clock_timestamp() as now,
       (select q.paused_at from lavoro.queue q where q.name = j.queue) as paused_at,
       (select c.requested_at from lavoro.cancel_request c where c.job_id = j.id) as cancel_at,
       (select k.job_id
        from lavoro.unique_key k
        where k.queue = j.queue and k.task = j.task and k.key = j.unique_key and k.job_id <> j.id)
           as key_holder,
       r.id is not null as ready, coalesce(r.suspect, s.suspect, false) as suspect,
       s.run_at as due_at, coalesce(r.place, 0) - 1 + a.jobs as ahead, a.packs as packs_ahead,
       l.worker_id, l.claimed_at, w.beat_at, w.lease_ms, w.ended_at is not null as worker_ended
from lavoro.job j
left join lateral (
    select r.id, r.priority, r.suspect, array_position(r.jobs, j.id) as place
    from lavoro.ready r
    where r.queue = j.queue and r.task = j.task and r.suspect in (false, true)
      and r.priority = j.priority and r.id between j.id >> 10 << 10 and j.id and j.id = any (r.jobs)
    limit 1
) r on true
cross join lateral (
    select coalesce(sum(b.jobs), 0)::bigint as jobs, count(*) as packs
    from (select cardinality(b.jobs) as jobs
          from lavoro.ready b
          where b.queue = j.queue and b.task = j.task and b.suspect = r.suspect
            and (b.priority > r.priority or (b.priority = r.priority and b.id < r.id))
          order by b.priority desc, b.id
          limit $2) b
) a
left join lateral (
    select s.suspect, s.run_at
    from lavoro.scheduled s
    where s.id between j.id >> 10 << 10 and j.id and j.id = any (s.jobs)
    limit 1
) s on true
left join lateral (
    select h.worker_id, h.claimed_at
    from lavoro.lease h
    where j.id = any (h.jobs)
    limit 1
) l on true
left join lavoro.worker w on w.id = l.worker_id
where j.id = $1
