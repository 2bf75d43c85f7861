-- Those of the jobs $1 that have ended in one of the states $2 (1 completed, 2 cancelled,
-- 3 discarded), and if $3 those that have not ended.
select u.id
from unnest($1::bigint[]) as u (id)
left join lateral (select o.state from lavoro.outcome o where o.job_id = u.id limit 1) o on true
where case when o.state is null then $3 else o.state = any ($2::smallint[]) end
