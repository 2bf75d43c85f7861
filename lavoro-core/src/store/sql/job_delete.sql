-- Deletes job $1.
select lavoro.delete($1) is null as done
