-- Makes sure that no claim under lease $1 of worker $2 can be committed any more: waits for one
-- that is under way, and takes its place if there is none.
insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
values ($1, $2, clock_timestamp(), '{}', '{}')
on conflict (token) do nothing
