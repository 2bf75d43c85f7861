-- The log of job $1 after the line $2, up to $3 lines.
select l.id, l.logged_at, l.attempt, l.line
from lavoro.log l
where l.job_id = $1 and l.id > $2
order by l.id
limit $3
