-- How many jobs of queue $1 up to id $2 are running.
select count(*) as jobs
from (
    select distinct u.job_id
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    where u.job_id <= $2
) h
join lavoro.job j on j.id = h.job_id
where j.queue = $1 and (select true from lavoro.outcome o where o.job_id = h.job_id limit 1) is null
