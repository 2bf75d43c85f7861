-- Deletes up to $2 ended jobs above id $1 that have been kept long enough: $3 milliseconds for
-- completed and cancelled ones, $4 for discarded ones. Ids grow with the time of enqueueing, so
-- the walk ends at the first job that is too young to have been kept that long. Answers how many
-- were looked at and deleted, and where to go on. $5 stands in for the server's clock in tests.
with looked as materialized (
    select o.job_id, o.state, o.finished_at
    from lavoro.outcome o
    where o.job_id > $1
    order by o.job_id
    limit $2
), old as materialized (
    select l.job_id
    from looked l
    where l.finished_at < coalesce($5::timestamptz, statement_timestamp())
        - case when l.state = 3 then $4::bigint else $3::bigint end * interval '1 millisecond'
), outcome as (
    delete from lavoro.outcome o where o.job_id = any (array(select job_id from old))
), error as (
    delete from lavoro.error e where e.job_id = any (array(select job_id from old))
), past as (
    delete from lavoro.past_outcome p where p.job_id = any (array(select job_id from old))
), progress as (
    delete from lavoro.progress p where p.job_id = any (array(select job_id from old))
), checkpoint as (
    delete from lavoro.checkpoint c where c.job_id = any (array(select job_id from old))
), log as (
    delete from lavoro.log l where l.job_id = any (array(select job_id from old))
), job as (
    delete from lavoro.job j where j.id = any (array(select job_id from old))
)
select (select count(*) from looked) as looked, (select count(*) from old) as deleted,
       (select max(job_id) from looked) as last,
       (select j.created_at >= coalesce($5::timestamptz, statement_timestamp())
               - least($3::bigint, $4::bigint) * interval '1 millisecond'
        from lavoro.job j
        where j.id = (select max(job_id) from looked)) as young
