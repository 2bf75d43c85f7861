-- Up to $3 leases of worker $1, if it has not shown a sign of life since $2. The lock on its row
-- keeps a heartbeat out until the rescue has been committed. Nothing if others rescue it.
with dead as materialized (
    select w.id from lavoro.worker w
    where w.id = $1
      and (w.ended_at is not null or (w.beat_at = $2
           and w.beat_at < clock_timestamp() - w.lease_ms * interval '1 millisecond'))
    for update skip locked
)
select l.token
from lavoro.lease l
where l.worker_id = $1
  and (exists (select from dead) or not exists (select from lavoro.worker w where w.id = $1))
order by l.claimed_at
limit $3
