-- Among the newest $2 ended jobs below id $1 those in the states $3 (1 completed, 2 cancelled,
-- 3 discarded), and the id down to which there are no others (null: to the end).
with looked as materialized (
    select o.job_id as id, o.state from lavoro.outcome o where o.job_id < $1 order by o.job_id desc limit $2
)
select coalesce(array_agg(id order by id desc) filter (where state = any ($3::smallint[])), '{}') as ids,
       case when count(*) = $2 then min(id) end as floor
from looked
