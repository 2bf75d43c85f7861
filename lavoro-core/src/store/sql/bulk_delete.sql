-- Deletes jobs $1 (locked): those that wait, if $2, and those that have ended, if $3.
select lavoro.delete_all($1, $2, $3) as ids
