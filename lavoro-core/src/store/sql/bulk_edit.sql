-- Changes those of the jobs $1 (locked) that wait: payload $2, priority $3, run_at $4, queue $5, or
-- their delay, $6 milliseconds from now. A null leaves things as they are.
select lavoro.edit_all($1, $2::text::jsonb, $3, $4, $5, $6 * interval '1 millisecond') as ids
