-- The latest $2 decisions on slots of schedule $1, newest first.
select s.slot, s.decided_at, s.decision, s.reason, s.until, s.job_id
from lavoro.slot s
where s.schedule_id = $1
order by s.slot desc
limit $2
