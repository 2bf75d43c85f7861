-- Workers that have not ended, with the age of their last heartbeat.
select id, name, host, pid, lease_ms,
       (extract(epoch from clock_timestamp() - beat_at) * 1000)::bigint as age_ms
from lavoro.worker
where ended_at is null
order by id
