-- Enqueues the jobs of slots $2 of schedules $1, each due $3 milliseconds after its slot, and records
-- it. A slot that has been decided before is left out.
select f.schedule_id, f.job_id, f.queue
from lavoro.fire($1::bigint[], $2::timestamptz[], $3::bigint[], $4::text[]) f
