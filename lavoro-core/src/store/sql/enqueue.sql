-- Enqueues a batch without unique keys, unless this producer's batch $2 has been applied before.
-- $16 is the number of the pack that each job goes into, computed by the caller: jobs of one
-- pack share queue, task, priority and due time. A column that no job uses may be empty.
with new as materialized (
    select nextval('lavoro.job_id_seq') as id, i.n, i.queue, i.task, i.priority,
           coalesce(statement_timestamp() + i.delay_ms * interval '1 millisecond', i.run_at) as due,
           coalesce(statement_timestamp() + i.expires_ms * interval '1 millisecond', i.expires_at)
               as expires_at, i.on_discarded,
           i.max_attempts, i.timeout_ms, i.backoff, i.metadata, i.tags, i.payload, i.bytes, i.pack
    from unnest($4::text[], $5::text[], $6::integer[], $7::bigint[], $8::timestamptz[], $9::smallint[],
                $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[], $15::integer[],
                $16::integer[], $17::bigint[], $18::timestamptz[], $19::text[])
         with ordinality as i (queue, task, priority, delay_ms, run_at, max_attempts, timeout_ms,
                               backoff, metadata, tags, payload, bytes, pack, expires_ms,
                               expires_at, on_discarded, n)
), ids as materialized (
    select array_agg(id order by n) as ids from new
), gate as (
    update lavoro.producer
    set seq = $2, seen_at = statement_timestamp(),
        ids = case when $3 then (select i.ids from ids i) else '{}' end
    where id = $1 and seq < $2
    returning id
), job as (
    insert into lavoro.job (id, created_at, run_at, expires_at, priority, timeout_ms, max_attempts,
                            queue, task, on_discarded, tags, backoff, metadata, payload)
    select id, statement_timestamp(), due, expires_at, priority, timeout_ms, max_attempts, queue,
           task, on_discarded,
           case when tags is not null then array(select jsonb_array_elements_text(tags::jsonb)) end,
           backoff::jsonb, metadata::jsonb, payload::jsonb
    from new
    where exists (select from gate)
), expiry as (
    insert into lavoro.expiry (job_id, expires_at)
    select id, expires_at from new where expires_at is not null and exists (select from gate)
), waiting as (
    select min(id) as id, due, min(priority) as priority, sum(bytes)::integer as bytes,
           min(queue) as queue, min(task) as task, array_agg(id order by id) as jobs,
           coalesce(due > statement_timestamp(), false) as later
    from new
    where exists (select from gate)
    group by pack, due, id >> 10
), ready as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, priority, bytes, 0, false, queue, task, jobs from waiting where not later
), scheduled as (
    insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, due, priority, bytes, 0, false, queue, task, jobs from waiting where later
)
select (select i.ids from ids i where exists (select from gate)) as ids,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
