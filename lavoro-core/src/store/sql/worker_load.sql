-- How many jobs of each queue the workers hold that have not ended.
select l.worker_id, j.queue, count(*) as running
from lavoro.lease l
cross join lateral unnest(l.jobs) as u (job_id)
join lavoro.job j on j.id = u.job_id
where (select true from lavoro.outcome o where o.job_id = u.job_id limit 1) is null
  and exists (select from lavoro.worker w where w.id = l.worker_id and w.ended_at is null)
group by l.worker_id, j.queue
