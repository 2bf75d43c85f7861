-- Returns running jobs ($1, of leases $2) to waiting: at once, or after $5 milliseconds. They
-- are locked already (hold.sql). $3 is how many attempts then count, $4 whether the job is a
-- suspect; $6 to $8 go into its error history. A job that someone wants cancelled ends instead. A
-- lease that is left without running jobs goes.
with input as materialized (
    select i.job_id, i.token, i.counted_attempts, i.suspect, i.delay_ms, i.error_kind,
           i.error_message, i.counted
    from unnest($1::bigint[], $2::uuid[], $3::smallint[], $4::boolean[], $5::bigint[], $6::text[],
                $7::text[], $8::boolean[])
         as i (job_id, token, counted_attempts, suspect, delay_ms, error_kind, error_message, counted)
), listed as materialized (
    select l.token, l.worker_id, l.claimed_at, u.job_id, u.attempt
    from lavoro.lease l
    cross join lateral unnest(l.jobs, l.attempts) as u (job_id, attempt)
    where l.token = any ($2::uuid[])
      and (select true from lavoro.outcome o where o.job_id = u.job_id limit 1) is null
), fresh as materialized (
    select i.job_id, i.token, i.counted_attempts, i.suspect, i.delay_ms, i.error_kind,
           i.error_message, i.counted, l.worker_id, l.claimed_at, l.attempt,
           j.queue, j.task, j.priority, j.bytes
    from input i
    join listed l on l.token = i.token and l.job_id = i.job_id
    cross join lateral (
        select j.queue, j.task, j.priority, octet_length(j.payload::text) as bytes
        from lavoro.job j
        where j.id = i.job_id
        limit 1
    ) j
), unwanted as materialized (
    -- Someone wanted it cancelled while it ran, and its handler had not heard of it.
    select f.job_id from fresh f join lavoro.cancel_request c on c.job_id = f.job_id
), cancelled as (
    insert into lavoro.outcome (job_id, worker_id, started_at, finished_at, attempt, state)
    select job_id, worker_id, claimed_at, clock_timestamp(), attempt, 2
    from fresh
    where job_id in (select job_id from unwanted)
), freed as (
    delete from lavoro.unique_key k where k.job_id in (select job_id from unwanted)
), failed as (
    insert into lavoro.error (job_id, token, failed_at, started_at, worker_id, attempt, counted, kind,
                              message)
    select job_id, token, clock_timestamp(), claimed_at, worker_id, attempt, counted, error_kind,
           error_message
    from fresh
    where error_message is not null
), ready as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select job_id, priority, bytes, counted_attempts, suspect, queue, task, array[job_id]
    from fresh
    where delay_ms is null and job_id not in (select job_id from unwanted)
), scheduled as (
    insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
    select job_id, clock_timestamp() + delay_ms * interval '1 millisecond', priority, bytes,
           counted_attempts, suspect, queue, task, array[job_id]
    from fresh
    where delay_ms is not null and job_id not in (select job_id from unwanted)
), rest as materialized (
    select l.token, array_agg(l.job_id) as jobs, array_agg(l.attempt) as attempts
    from listed l
    where not exists (select from fresh f where f.token = l.token and f.job_id = l.job_id)
    group by l.token
), kept as (
    update lavoro.lease l
    set jobs = r.jobs, attempts = r.attempts
    from rest r
    where l.token = r.token
), dropped as (
    delete from lavoro.lease l
    where l.token = any ($2::uuid[]) and l.token not in (select token from rest)
)
select job_id, delay_ms is null as ready, queue from fresh
