-- The checkpoint of job $1, if there is one.
select c.data::text as data
from lavoro.checkpoint c
where c.job_id = $1
