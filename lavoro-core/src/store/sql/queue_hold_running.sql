-- Locks up to $4 running jobs of queue $1 above id $2, up to id $3, that nobody else holds: a
-- second statement, which then sees what has been committed meanwhile, can move them.
select j.id
from (
    select distinct u.job_id
    from lavoro.lease l
    cross join lateral unnest(l.jobs) as u (job_id)
    where u.job_id > $2 and u.job_id <= $3
    order by u.job_id
) h
cross join lateral (
    select j.id
    from lavoro.job j
    where j.id = h.job_id and j.queue = $1
      and (select true from lavoro.outcome o where o.job_id = h.job_id limit 1) is null
    for no key update skip locked
) j
limit $4
