-- Gives those of the jobs $1 (locked already) that still run the queue $2, so that they return to
-- it. One that ended or returned before the lock stays as it is.
with held as materialized (
    select j.id, j.unique_key is not null as keyed
    from (
        select distinct u.job_id
        from lavoro.lease l
        cross join lateral unnest(l.jobs) as u (job_id)
        where u.job_id = any ($1::bigint[])
    ) h
    cross join lateral (
        select j.id, j.unique_key from lavoro.job j where j.id = h.job_id limit 1
    ) j
    where (select true from lavoro.outcome o where o.job_id = h.job_id limit 1) is null
), keyed as materialized (
    select h.id, lavoro.move_key(h.id, $2) as holder from held h where h.keyed
), moved as (
    update lavoro.job set queue = $2
    where id = any (array(
        select h.id from held h
        where not exists (select from keyed k where k.id = h.id and k.holder is not null)))
    returning id
)
select (select count(*) from moved) as jobs,
       array(select id from keyed where holder is not null order by id) as refused,
       array(select holder from keyed where holder is not null order by id) as holders
