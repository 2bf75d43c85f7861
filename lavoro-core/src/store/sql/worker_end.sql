-- Ends worker $1, which has given back all it held. Leases without jobs go with it.
with empty as (
    delete from lavoro.lease l where l.worker_id = $1 and cardinality(l.jobs) = 0
)
update lavoro.worker set ended_at = clock_timestamp(), idle = false
where id = $1 and ended_at is null
