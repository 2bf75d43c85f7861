-- Which of the attempts ($1: jobs, $2: tokens) are still under their lease and have not ended.
select i.job_id
from unnest($1::bigint[], $2::uuid[]) as i (job_id, token)
join lavoro.lease l on l.token = i.token and i.job_id = any (l.jobs)
where not exists (select from lavoro.outcome o where o.job_id = i.job_id)
