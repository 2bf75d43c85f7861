-- The schedules $1, whose states are locked: a statement of its own, so that it sees what was
-- committed before they were. $2 stands in for the server's clock in tests.
select c.id, c.name, c.cron, c.every_ms, c.offset_ms, c.zone, c.start_at, c.end_at, c.jitter_ms, c.missed,
       c.missed_within_ms, c.missed_limit, c.overlap, c.paused_at is not null as paused, t.decided,
       t.queued, coalesce($2::timestamptz, statement_timestamp()) as now,
       exists (select from lavoro.job j where j.id = t.job_id)
           and not exists (select from lavoro.outcome o where o.job_id = t.job_id) as open,
       case when c.on_lost = 'hold' then lavoro.run_held(t.job_id) else false end as held
from lavoro.schedule_state t
join lavoro.schedule c on c.id = t.schedule_id
where t.schedule_id = any ($1::bigint[])
