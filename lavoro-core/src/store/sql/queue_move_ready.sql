-- Moves packs of one lane (queue $1, task $3, suspect $4, priority $5) to queue $2 with their jobs:
-- up to $8 of those above id $6, up to id $7.
--
-- pick    locks the packs, passing over those that others hold
-- member  locks their jobs likewise: who changes a job by hand locks it before its pack, so to
--         wait for a job while holding its pack might be a deadlock
-- keyed   moves unique keys; jobs that have one lie in packs of their own
-- whole   the packs all of whose jobs are ours; the others stay for a later look
with pick as materialized (
    select r.ctid as at, r.id, r.bytes, r.attempt, r.jobs
    from lavoro.ready r
    where r.queue = $1 and r.task = $3 and r.suspect = $4 and r.priority = $5
      and r.id > $6 and r.id <= $7
    order by r.id
    limit $8
    for update skip locked
), member as materialized (
    select p.id as pack, j.id, j.keyed
    from pick p
    cross join lateral unnest(p.jobs) as u (job_id)
    cross join lateral (
        select j.id, j.unique_key is not null as keyed
        from lavoro.job j
        where j.id = u.job_id
        for no key update skip locked
    ) j
), complete as materialized (
    select p.at, p.id, p.bytes, p.attempt, p.jobs, m.keyed
    from pick p
    join (select pack, count(*) as jobs, bool_or(keyed) as keyed from member group by pack) m
      on m.pack = p.id and m.jobs = cardinality(p.jobs)
    where not m.keyed or m.jobs = 1
), keyed as materialized (
    select c.id, lavoro.move_key(c.id, $2) as holder from complete c where c.keyed
), whole as materialized (
    select c.at, c.id, c.bytes, c.attempt, c.jobs
    from complete c
    where not exists (select from keyed k where k.id = c.id and k.holder is not null)
), job as (
    update lavoro.job set queue = $2
    where id = any (array(select unnest(w.jobs) from whole w))
), gone as (
    delete from lavoro.ready where ctid = any (array(select at from whole))
), moved as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, $5, bytes, attempt, $4, $2, $3, jobs from whole
)
select (select max(id) from pick) as last,
       (select coalesce(sum(cardinality(jobs)), 0) from whole)::bigint as jobs,
       array(select id from keyed where holder is not null order by id) as refused,
       array(select holder from keyed where holder is not null order by id) as holders
