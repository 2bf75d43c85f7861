-- Which of the attempts ($1: jobs, $2: when they were claimed, $3: under which token) are
-- recorded as ended: their outcome was accepted before, and only the reply was lost.
select i.job_id
from unnest($1::bigint[], $2::timestamptz[], $3::uuid[]) as i (job_id, claimed_at, token)
where not exists (select from lavoro.error e where e.job_id = i.job_id and e.token = i.token
                  and e.kind = 'lost') -- who rescued the job has decided, whatever stands there
  and ((select o.started_at from lavoro.outcome o where o.job_id = i.job_id) = i.claimed_at
       or exists (select from lavoro.past_outcome p
                  where p.job_id = i.job_id and p.started_at = i.claimed_at)
       or exists (select from lavoro.error e where e.job_id = i.job_id and e.token = i.token))
