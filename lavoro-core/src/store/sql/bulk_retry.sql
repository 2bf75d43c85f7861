-- Makes jobs $1 (locked) available now: those that wait, if $2, and those that have ended, if $3.
select lavoro.retry_all($1, $2, $3) as ids
