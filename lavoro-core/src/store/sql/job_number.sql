-- A number for a new job.
select nextval('lavoro.job_id_seq') as id
