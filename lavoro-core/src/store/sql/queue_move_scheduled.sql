-- Moves packs of queue $1 whose time has not come to queue $2 with their jobs: up to $5 of those
-- above id $3, up to id $4. As queue_move_ready.sql. The packs are deleted and inserted again, not
-- updated: a promotion that began before would move the old row and leave the new one.
with pick as materialized (
    select s.ctid as at, s.id, s.jobs
    from lavoro.scheduled s
    where s.queue = $1 and s.id > $3 and s.id <= $4
    order by s.id
    limit $5
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
    select p.at, p.id, p.jobs, m.keyed
    from pick p
    join (select pack, count(*) as jobs, bool_or(keyed) as keyed from member group by pack) m
      on m.pack = p.id and m.jobs = cardinality(p.jobs)
    where not m.keyed or m.jobs = 1
), keyed as materialized (
    select c.id, lavoro.move_key(c.id, $2) as holder from complete c where c.keyed
), whole as materialized (
    select c.at, c.id, c.jobs
    from complete c
    where not exists (select from keyed k where k.id = c.id and k.holder is not null)
), job as (
    update lavoro.job set queue = $2
    where id = any (array(select unnest(w.jobs) from whole w))
), gone as (
    delete from lavoro.scheduled where ctid = any (array(select at from whole))
    returning id, run_at, priority, bytes, attempt, suspect, task, jobs
), moved as (
    insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, run_at, priority, bytes, attempt, suspect, $2, task, jobs from gone
)
select (select max(id) from pick) as last,
       (select coalesce(sum(cardinality(jobs)), 0) from whole)::bigint as jobs,
       array(select id from keyed where holder is not null order by id) as refused,
       array(select holder from keyed where holder is not null order by id) as holders
