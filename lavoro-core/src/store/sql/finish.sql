-- Records the ends of jobs ($1) under their leases ($2; $8: each once), and drops those of the
-- leases $9 all of whose jobs have ended: the caller's word for it is checked, since a job in no
-- lease is lost. $3 says where in its lease each job was when it was claimed.
--
-- The lock on a lease conflicts with its rescue and not with a completion that is pending in a
-- user's transaction (FOR KEY SHARE). A lease that a rescue has just taken apart is read again
-- in its new form. Jobs that are not listed any more, or have ended, are left out of the answer.
-- $10: the jobs that hold unique keys. A job that is discarded may have a follow-up.
with input as materialized (
    select i.job_id, i.token, i.place, i.state, i.result, i.error_kind, i.error_message
    from unnest($1::bigint[], $2::uuid[], $3::integer[], $4::smallint[], $5::text[], $6::text[],
                $7::text[])
         as i (job_id, token, place, state, result, error_kind, error_message)
    -- A job that a user's transaction has completed and not committed must not hold up the rest.
    where (select set_config('lock_timeout', '200ms', true)) is not null
), held as materialized (
    -- Appending nothing unpacks the arrays once, not at every look.
    select l.token, l.worker_id, l.claimed_at, l.jobs || '{}' as jobs, l.attempts || '{}' as attempts
    from lavoro.lease l
    where l.token = any ($8::uuid[])
    order by l.token
    for no key update
), fresh as materialized (
    -- A full join cannot be a nested loop, which would compare every job with every lease; the
    -- offset keeps the planner from seeing that an inner join would do.
    select i.job_id, i.token, i.state, i.result, i.error_kind, i.error_message,
           i.worker_id, i.claimed_at, i.attempts[p.place] as attempt
    from (
        select coalesce(i.token, h.token) as token, i.job_id, i.place, i.state, i.result,
               i.error_kind, i.error_message, h.worker_id, h.claimed_at, h.jobs, h.attempts
        from input i
        full join held h on h.token = i.token
        offset 0
    ) i
    cross join lateral (
        select case when i.jobs[i.place] = i.job_id then i.place
                    else array_position(i.jobs, i.job_id) end as place
    ) p
    where p.place is not null
      and (select true from lavoro.outcome o where o.job_id = i.job_id limit 1) is null
), done as (
    insert into lavoro.outcome (job_id, worker_id, started_at, finished_at, attempt, state, result)
    select job_id, worker_id, claimed_at, clock_timestamp(), attempt, state, result::jsonb
    from fresh
    returning job_id
), failed as (
    insert into lavoro.error (job_id, token, failed_at, started_at, worker_id, attempt, counted, kind,
                              message)
    select job_id, token, clock_timestamp(), claimed_at, worker_id, attempt, true, error_kind,
           error_message
    from fresh
    where error_message is not null
    on conflict (job_id, token) do nothing
), followed as materialized (
    select lavoro.follow_up(job_id, attempt, error_message) as id from fresh where state = 3
), freed as (
    delete from lavoro.unique_key k
    where k.job_id = any ($10::bigint[]) and k.job_id in (select job_id from done)
), dropped as (
    delete from lavoro.lease
    where ctid = any (array(
        select l.ctid
        from lavoro.lease l
        where l.token = any ($9::uuid[])
          and not exists (
              select from unnest(l.jobs) as u (job_id)
              where u.job_id not in (select job_id from done)
                and (select true from lavoro.outcome o where o.job_id = u.job_id limit 1) is null)
        for update skip locked))
    returning token
)
select (select coalesce(array_agg(job_id), '{}') from done) as done,
       (select coalesce(array_agg(token), '{}') from dropped) as dropped,
       (select count(id) from followed) as followed
