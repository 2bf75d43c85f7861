-- As enqueue.sql, for a batch of one job, which most are: without arrays to unnest and packs to
-- group it costs the server little more than half. $4: how many bytes the payload has.
with gate as (
    update lavoro.producer
    set seq = $2, seen_at = statement_timestamp(), ids = array[nextval('lavoro.job_id_seq')]
    where id = $1 and seq < $2
    returning ids
), new as materialized (
    select ids[1] as id, array[ids[1]] as jobs,
           coalesce(statement_timestamp() + $8::bigint * interval '1 millisecond', $9::timestamptz) as due,
           coalesce(statement_timestamp() + $15::bigint * interval '1 millisecond', $16::timestamptz)
               as expires_at
    from gate
), job as (
    insert into lavoro.job (id, created_at, run_at, expires_at, priority, timeout_ms, max_attempts,
                            queue, task, on_discarded, tags, backoff, metadata, payload)
    select id, statement_timestamp(), due, expires_at, $7::integer, $11::integer, $10::smallint,
           $5::text, $6::text, $17::text,
           case when $14::text is not null then array(select jsonb_array_elements_text($14::text::jsonb)) end,
           $12::text::jsonb, $13::text::jsonb, $3::text::jsonb
    from new
), expiry as (
    insert into lavoro.expiry (job_id, expires_at)
    select id, expires_at from new where expires_at is not null
), ready as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, $7::integer, $4::integer, 0, false, $5::text, $6::text, jobs
    from new
    where due is null or due <= statement_timestamp()
), scheduled as (
    insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, due, $7::integer, $4::integer, 0, false, $5::text, $6::text, jobs
    from new
    where due > statement_timestamp()
)
select (select ids from gate) as ids,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
