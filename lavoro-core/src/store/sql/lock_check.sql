-- Fails unless the lock $1 is held with the fence $2; nobody else gets it in this transaction.
select lavoro.lock_check($1::text, $2::bigint)
