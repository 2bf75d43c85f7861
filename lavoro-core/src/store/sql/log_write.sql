-- Writes lines ($7, with numbers $5, said $6 microseconds ago) into the logs of jobs $1, for
-- attempts $4 under the tokens $2 that were claimed at $3. Sent again after a lost reply, it
-- changes nothing. Left out are attempts that neither run under their lease nor have left an
-- outcome or an error: their job may be gone. The commit does not wait for the disk, as in
-- progress_write.sql.
with input as materialized (
    select i.job_id, i.token, i.claimed_at, i.attempt, i.id, i.age_us, i.line
    from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::smallint[], $5::bigint[], $6::bigint[],
                $7::text[])
         as i (job_id, token, claimed_at, attempt, id, age_us, line)
    where (select set_config('synchronous_commit', 'off', true)) is not null
)
insert into lavoro.log (job_id, id, logged_at, attempt, line)
select i.job_id, i.id, statement_timestamp() - i.age_us * interval '1 microsecond', i.attempt, i.line
from input i
where (select true from lavoro.lease l where l.token = i.token and i.job_id = any (l.jobs) limit 1)
   or (select o.started_at from lavoro.outcome o where o.job_id = i.job_id) = i.claimed_at
   or (select true from lavoro.error e where e.job_id = i.job_id and e.token = i.token limit 1)
order by i.job_id, i.id
on conflict do nothing
