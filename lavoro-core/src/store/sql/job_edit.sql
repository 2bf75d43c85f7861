-- Changes job $1, which waits: payload $2, priority $3, run_at $4, queue $5, or its delay, $6
-- milliseconds from now. A null leaves things as they are.
select lavoro.edit($1, $2::text::jsonb, $3, $4, $5, $6 * interval '1 millisecond') is null as done
