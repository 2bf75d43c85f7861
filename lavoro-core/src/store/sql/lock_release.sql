-- Releases the lock $1 if the token $2 holds it.
select lavoro.lock_release($1::text, $2::uuid) as released
