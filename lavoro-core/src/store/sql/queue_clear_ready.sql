-- Deletes packs of one lane (queue $1, task $2, suspect $3, priority $4) with their jobs: up to $7
-- of those above id $5, up to id $6. What others hold, or a job of it, is passed over.
with pick as materialized (
    select r.ctid as at, r.id, r.jobs
    from lavoro.ready r
    where r.queue = $1 and r.task = $2 and r.suspect = $3 and r.priority = $4
      and r.id > $5 and r.id <= $6
    order by r.id
    limit $7
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
    delete from lavoro.ready where ctid = any (array(select at from whole))
)
select (select max(id) from pick) as last,
       (select coalesce(sum(cardinality(jobs)), 0) from whole)::bigint as jobs,
       lavoro.forget(array(select unnest(w.jobs) from whole w))::text as done
