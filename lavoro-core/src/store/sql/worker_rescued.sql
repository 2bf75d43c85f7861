-- Ends worker $1 in the transaction that takes its leases apart. If it lives after all, it learns
-- so with its next heartbeat and registers anew; what it may still claim under this number, in a
-- claim that is under way, is then held by nobody who lives, and is rescued too.
update lavoro.worker set ended_at = clock_timestamp(), idle = false
where id = $1 and ended_at is null
