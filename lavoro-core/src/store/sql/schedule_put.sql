-- Makes or changes the schedule $1. $2 is the print of a declaration in code, null for a change at
-- run time: a declaration that is the same as before changes nothing, another one changes everything
-- and ends a pause. $3: only make it. A change of when it is counts from now on.
with old as materialized (
    select c.id, c.paused_at, t.decided,
           (c.cron, c.every_ms, c.offset_ms, c.zone, c.start_at, c.end_at)
               is not distinct from ($4::text, $5::bigint, $6::bigint, $7::text, $8::timestamptz,
                                     $9::timestamptz) as same
    from lavoro.schedule c
    join lavoro.schedule_state t on t.schedule_id = c.id
    where c.name = $1
    for update of t
), put as (
    insert into lavoro.schedule as c
        (name, declared, cron, every_ms, offset_ms, zone, start_at, end_at, jitter_ms, missed,
         missed_within_ms, missed_limit, overlap, on_lost, task, queue, priority, max_attempts,
         timeout_ms, expires_ms, on_discarded, tags, backoff, metadata, payload)
    select $1, sha256(convert_to($2::text, 'UTF8')), $4, $5, $6, $7, $8, $9, $10::bigint, $11::text,
           $12::bigint, $13::integer, $14::text, $15::text, $16::text, $17::text, $18::integer,
           $19::smallint, $20::integer, $21::bigint, $22::text, $23::text[], $24::jsonb, $25::jsonb,
           $26::jsonb
    where (select count(*) from old) >= 0 -- lock first
    on conflict (name) do update
    set changed_at = clock_timestamp(), declared = coalesce(excluded.declared, c.declared),
        paused_at = case when excluded.declared is null then c.paused_at end, problem = null,
        cron = excluded.cron, every_ms = excluded.every_ms, offset_ms = excluded.offset_ms,
        zone = excluded.zone, start_at = excluded.start_at, end_at = excluded.end_at,
        jitter_ms = excluded.jitter_ms, missed = excluded.missed,
        missed_within_ms = excluded.missed_within_ms, missed_limit = excluded.missed_limit,
        overlap = excluded.overlap, on_lost = excluded.on_lost, task = excluded.task,
        queue = excluded.queue, priority = excluded.priority, max_attempts = excluded.max_attempts,
        timeout_ms = excluded.timeout_ms, expires_ms = excluded.expires_ms,
        on_discarded = excluded.on_discarded, tags = excluded.tags, backoff = excluded.backoff,
        metadata = excluded.metadata, payload = excluded.payload
    where not $3 and (excluded.declared is null or c.declared is distinct from excluded.declared)
    returning c.id, c.paused_at, xmax = 0 as created
), state as (
    insert into lavoro.schedule_state as t (schedule_id, decided, next_at)
    select p.id, case when o.same and o.paused_at is null then o.decided else clock_timestamp() end,
           case when p.paused_at is null then timestamptz '-infinity' end
    from put p left join old o on o.id = p.id
    on conflict (schedule_id) do update
    set decided = greatest(t.decided, excluded.decided), next_at = excluded.next_at
)
select coalesce((select p.id from put p), (select o.id from old o)) as id,
       coalesce((select p.created from put p), false) as created
