-- Makes job $1 available now.
select lavoro.retry($1) is null as done
