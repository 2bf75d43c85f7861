-- Which of the jobs that worker $1 holds someone wants cancelled. Hardly anything is wanted at
-- any moment, so this begins with the wishes.
select c.job_id
from lavoro.cancel_request c
where exists (select from lavoro.lease l where l.worker_id = $1 and c.job_id = any (l.jobs))
