-- Up to $3 schedules by name, of those after $2; $1: only this one.
select c.id, c.name, c.task, c.queue, c.priority, c.max_attempts, c.timeout_ms, c.expires_ms,
       c.on_discarded, c.tags, c.metadata, c.payload, c.cron, c.every_ms, c.offset_ms, c.zone, c.start_at,
       c.end_at, c.jitter_ms, c.missed, c.missed_within_ms, c.missed_limit, c.overlap, c.on_lost,
       c.paused_at, c.declared is not null as declared, c.problem, c.created_at, c.changed_at,
       v.undeclared, v.held, t.decided, t.queued, t.job_id, v.last_slot, v.last_decision, v.last_reason,
       clock_timestamp() as now
from lavoro.schedule c
join lavoro.schedule_state t on t.schedule_id = c.id
join lavoro.schedules v on v.id = c.id
where c.name between coalesce($1::text, '') and coalesce($1::text, repeat(U&'\+10FFFF', 64))
  and c.name > coalesce($2::text, '')
order by c.name
limit $3
