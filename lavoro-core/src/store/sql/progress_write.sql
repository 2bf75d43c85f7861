-- Writes how far jobs ($1: each once) say they have come: $5 percent, $6 message, $7 data, said
-- $4 microseconds ago by attempts under the tokens $2 that were claimed at $3. Left out are
-- attempts that neither run under their lease nor were the one that ended the job.
--
-- The commit does not wait for the disk: the job's outcome, which comes later, does, and takes
-- this along.
with input as materialized (
    select i.job_id, i.token, i.claimed_at, i.age_us, i.percent, i.message, i.data
    from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::real[], $6::text[],
                $7::text[])
         as i (job_id, token, claimed_at, age_us, percent, message, data)
    where (select set_config('synchronous_commit', 'off', true)) is not null
)
insert into lavoro.progress as p (job_id, updated_at, percent, message, data)
select i.job_id, statement_timestamp() - i.age_us * interval '1 microsecond', i.percent, i.message,
       i.data::jsonb
from input i
where (select true from lavoro.lease l
       where l.token = i.token and i.job_id = any (l.jobs)
         and not exists (select from lavoro.outcome o where o.job_id = i.job_id)
       limit 1)
   or (select o.started_at from lavoro.outcome o where o.job_id = i.job_id) = i.claimed_at
order by i.job_id
on conflict (job_id) do update
set updated_at = excluded.updated_at, percent = excluded.percent, message = excluded.message,
    data = excluded.data
