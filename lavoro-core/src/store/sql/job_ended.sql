-- Which of the jobs $1 have ended, with their state (1 completed, 2 cancelled, 3 discarded),
-- result and last error.
select o.job_id, o.state, o.result::text as result,
       (select e.message from lavoro.error e where e.job_id = o.job_id
        order by e.failed_at desc limit 1) as error
from lavoro.outcome o
where o.job_id = any ($1::bigint[])
