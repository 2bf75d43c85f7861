-- The newest $2 jobs below id $1 that workers hold, and the id down to which there are no others
-- (null: to the end). Leases are few.
with looked as materialized (
    select u.id
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (id)
    where u.id < $1 and (select true from lavoro.outcome o where o.job_id = u.id limit 1) is null
    order by u.id desc
    limit $2
)
select coalesce(array_agg(id order by id desc), '{}') as ids,
       case when count(*) = $2 then min(id) end as floor
from looked
