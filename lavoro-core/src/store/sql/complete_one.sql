-- Completes a running job inside the caller's transaction.
select lavoro.complete($1, $2, $3::jsonb)
