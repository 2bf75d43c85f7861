-- The newest $2 jobs below id $1 in state $3 (2 cancelled, 3 discarded), and the id down to which
-- there are no others (null: to the end).
with looked as materialized (
    select o.job_id as id
    from lavoro.outcome o
    where o.state = $3 and o.state <> 1 and o.job_id < $1
    order by o.state desc, o.job_id desc
    limit $2
)
select coalesce(array_agg(id order by id desc), '{}') as ids,
       case when count(*) = $2 then min(id) end as floor
from looked
