-- Ends worker $1 if it has been silent since $2 and holds nothing any more.
update lavoro.worker w set ended_at = clock_timestamp(), idle = false
where w.id = $1 and w.ended_at is null and w.beat_at = $2
  and not exists (select from lavoro.lease l where l.worker_id = $1)
