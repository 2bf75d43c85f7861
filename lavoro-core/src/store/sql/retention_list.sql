-- The rules of retention in milliseconds, that of every task (empty) first; where that leaves
-- something open, $1 to $3 are what is built in.
select d.task,
       (extract(epoch from r.completed) * 1000)::bigint as completed_ms,
       (extract(epoch from r.cancelled) * 1000)::bigint as cancelled_ms,
       (extract(epoch from r.discarded) * 1000)::bigint as discarded_ms
from (select '' as task) d
cross join lateral (
    select coalesce(s.completed, $1::bigint * interval '1 millisecond') as completed,
           coalesce(s.cancelled, $2::bigint * interval '1 millisecond') as cancelled,
           coalesce(s.discarded, $3::bigint * interval '1 millisecond') as discarded
    from (select) one
    left join lavoro.retention s on s.task = d.task
) r
union all
select r.task,
       (extract(epoch from r.completed) * 1000)::bigint,
       (extract(epoch from r.cancelled) * 1000)::bigint,
       (extract(epoch from r.discarded) * 1000)::bigint
from lavoro.retention r
where r.task <> ''
order by task
