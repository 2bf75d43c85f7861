-- Workers that hold leases or count as living, with their last heartbeat and whether it is
-- older than their lease by the server's clock. The scan judges none by this clock alone.
select w.id, w.beat_at, w.lease_ms,
       w.ended_at is not null or w.beat_at < clock_timestamp() - w.lease_ms * interval '1 millisecond'
           as silent
from lavoro.worker w
where w.ended_at is null
   or w.id in (select l.worker_id from lavoro.lease l)
union all
select l.worker_id, min(l.claimed_at), 15000, true
from lavoro.lease l
where not exists (select from lavoro.worker w where w.id = l.worker_id)
group by l.worker_id
