-- Cancels jobs $1 (locked): those that wait, if $2, and those that run, if $3.
select lavoro.cancel_all($1, $2, $3) as ids
