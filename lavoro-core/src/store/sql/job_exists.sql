-- Whether there is a job $1.
select exists (select from lavoro.job where id = $1) as found
