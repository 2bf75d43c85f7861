-- Which of the attempts ($1: jobs, $2: when they were claimed, $3: under which token, $4: whether
-- their jobs were given back without an error) are recorded as ended: their outcome was accepted
-- before, and only the reply was lost. Of a job that was given back without an error nothing is
-- left under its lease, unless it has been rescued.
select i.job_id
from unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::boolean[])
     as i (job_id, claimed_at, token, given_back)
where not exists (select from lavoro.error e where e.job_id = i.job_id and e.token = i.token
                  and e.kind = 'lost') -- who rescued the job has decided, whatever stands there
  and ((select o.started_at from lavoro.outcome o where o.job_id = i.job_id) = i.claimed_at
       or exists (select from lavoro.past_outcome p
                  where p.job_id = i.job_id and p.started_at = i.claimed_at)
       or exists (select from lavoro.error e where e.job_id = i.job_id and e.token = i.token)
       or (i.given_back
           and not exists (select from lavoro.lease l
                           where l.token = i.token and i.job_id = any (l.jobs))))
