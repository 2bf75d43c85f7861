-- Cancels job $1.
select lavoro.cancel($1) as state
