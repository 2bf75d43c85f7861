-- The newest $2 jobs below id $1, and the id down to which there are no others (null: to the end).
with looked as materialized (
    select j.id from lavoro.job j where j.id < $1 order by j.id desc limit $2
)
select coalesce(array_agg(id order by id desc), '{}') as ids,
       case when count(*) = $2 then min(id) end as floor
from looked
