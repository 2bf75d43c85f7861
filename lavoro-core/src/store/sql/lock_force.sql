-- Releases the lock $1 whoever holds it.
select lavoro.lock_force_release($1::text) as owner
