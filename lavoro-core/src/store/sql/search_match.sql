-- Those of the jobs $1 that have task $2, queue $3, tag $4, were enqueued at $5 or later and before
-- $6, and have $7 in an error's message, whatever the case (null: any); newest first, $8 at most.
select j.id
from lavoro.job j
where j.id = any ($1::bigint[])
  and ($2::text is null or j.task = $2) and ($3::text is null or j.queue = $3)
  and ($4::text is null or $4 = any (j.tags))
  and ($5::timestamptz is null or j.created_at >= $5)
  and ($6::timestamptz is null or j.created_at < $6)
  -- The offset keeps PostgreSQL 18 from hashing all errors there are.
  and ($7::text is null or exists (
      select from lavoro.error e where e.job_id = j.id and strpos(lower(e.message), lower($7)) > 0
      offset 0))
order by j.id desc
limit $8
