-- Claims up to $4 jobs of queue $3 for worker $1 under a new lease $2.
--
-- head    reads the first $8 packs of each lane ($5: the tasks) without locking anything
-- wanted  how many of them hold the jobs asked for, within $6 bytes of payload
-- pick    locks that many, passing over packs that others hold; it stops as soon as it has them
-- take    cuts the last pack; what is left of it goes back as several packs of about the size
--         of this claim, so that a neighbour who takes few finds some that are not locked
--
-- Subqueries in lateral joins and ctids are here to fix the plan: no statistics, however stale,
-- may turn this into a scan of a whole table.
with head as materialized (
    (select h.task, h.suspect, h.priority, h.id, h.size, h.bytes
     from unnest($5::text[]) as t (task)
     cross join lateral (
         select r.task, r.suspect, r.priority, r.id, cardinality(r.jobs) as size, r.bytes
         from lavoro.ready r
         where r.queue = $3 and r.task = t.task and r.suspect = false
         order by r.priority desc, r.id
         limit $8
     ) h
     where not exists (select from lavoro.queue q where q.name = $3 and q.paused_at is not null))
    union all
    (select h.task, h.suspect, h.priority, h.id, h.size, h.bytes
     from unnest($5::text[]) as t (task)
     cross join lateral (
         select r.task, r.suspect, r.priority, r.id, cardinality(r.jobs) as size, r.bytes
         from lavoro.ready r
         where r.queue = $3 and r.task = t.task and r.suspect = true
         order by r.priority desc, r.id
         limit 16
     ) h
     where $7 and not exists (select from lavoro.queue q where q.name = $3 and q.paused_at is not null))
), wanted as (
    select count(*) as packs
    from (select sum(size) over w - size as jobs_before, sum(bytes) over w - bytes as bytes_before
          from head
          window w as (order by priority desc, id rows unbounded preceding)) b
    where jobs_before < $4 and bytes_before < $6
), pick as materialized (
    select r.at, r.task, r.suspect, r.priority, r.id, r.attempt, r.bytes, r.jobs
    from (select task, suspect, priority, id from head order by priority desc, id) h
    cross join lateral (
        select r.ctid as at, r.task, r.suspect, r.priority, r.id, r.attempt, r.bytes, r.jobs
        from lavoro.ready r
        where r.queue = $3 and r.task = h.task and r.suspect = h.suspect
          and r.priority = h.priority and r.id = h.id
        for update skip locked
    ) r
    limit (select packs from wanted)
), run as (
    select at, task, suspect, priority, id, attempt, bytes, jobs, cardinality(jobs) as size,
           sum(cardinality(jobs)) over w - cardinality(jobs) as jobs_before,
           sum(bytes) over w - bytes as bytes_before,
           row_number() over (partition by suspect order by priority desc, id) as place
    from pick
    window w as (order by priority desc, id rows unbounded preceding)
), take as materialized (
    select at, task, suspect, priority, attempt, bytes, size,
           jobs[: least(size, $4 - jobs_before)] as got,
           jobs[least(size, $4 - jobs_before) + 1 :] as rest
    from run
    where jobs_before < $4 and (bytes_before < $6 or jobs_before = 0)
      and (place = 1 or not suspect)
), gone as (
    delete from lavoro.ready where ctid = any (array(select at from take))
), back as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select p.piece[1], t.priority, t.bytes / t.size * cardinality(p.piece), t.attempt, t.suspect,
           $3, t.task, p.piece
    from take t
    cross join lateral (select greatest($4, (cardinality(t.rest) + 15) / 16) as grain) g
    cross join lateral generate_series(1, cardinality(t.rest), g.grain) as s (start)
    cross join lateral (select t.rest[s.start : s.start + g.grain - 1] as piece) p
), member as materialized (
    select u.job_id, t.suspect, (t.attempt + 1)::smallint as attempt,
           (row_number() over (order by t.priority desc, u.job_id))::integer as place
    from take t
    cross join lateral unnest(t.got) as u (job_id)
), lease as (
    insert into lavoro.lease (token, worker_id, claimed_at, suspect, jobs, attempts)
    select $2, $1, clock_timestamp(), max(job_id) filter (where suspect), array_agg(job_id order by place),
           array_agg(attempt order by place)
    from member
    having count(*) > 0
    returning claimed_at
)
select j.id, m.attempt, m.suspect, j.unique_key is not null as keyed, j.max_attempts, j.priority,
       j.timeout_ms, j.created_at, l.claimed_at, j.task, j.backoff::text as backoff,
       j.metadata::text as metadata, j.tags, j.payload::text as payload,
       m.place, (select count(*) from take)::integer as packs,
       j.expires_at is not null and j.expires_at <= l.claimed_at and m.attempt = 1 as expired,
       coalesce(j.run_at, j.created_at) as due_at
from lease l
cross join (select job_id, attempt, suspect, place from member order by place) m
cross join lateral (
    select id, max_attempts, priority, timeout_ms, created_at, task, backoff, metadata, tags,
           payload, unique_key, expires_at, run_at
    from lavoro.job
    where id = m.job_id
    limit 1
) j
