-- Those of the jobs $1 that are in one of the states $2.
select id from lavoro.jobs where id = any ($1::bigint[]) and state = any ($2::text[])
