-- Deletes packs of queue $1 whose time has not come with their jobs: up to $4 of those above id
-- $2, up to id $3. What others hold, or a job of it, is passed over.
with pick as materialized (
    select s.ctid as at, s.id, s.jobs
    from lavoro.scheduled s
    where s.queue = $1 and s.id > $2 and s.id <= $3
    order by s.id
    limit $4
    for update skip locked
), member as materialized (
    select p.id as pack, j.id
    from pick p
    cross join lateral unnest(p.jobs) as u (job_id)
    cross join lateral (
        select j.id from lavoro.job j where j.id = u.job_id for update skip locked
    ) j
), whole as materialized (
    select p.at, p.jobs
    from pick p
    join (select pack, count(*) as jobs from member group by pack) m
      on m.pack = p.id and m.jobs = cardinality(p.jobs)
), gone as (
    delete from lavoro.scheduled where ctid = any (array(select at from whole))
)
select (select max(id) from pick) as last,
       (select coalesce(sum(cardinality(jobs)), 0) from whole)::bigint as jobs,
       lavoro.forget(array(select unnest(w.jobs) from whole w))::text as done
