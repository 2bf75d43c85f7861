-- Schedules that somebody should look at: those that cannot fire, wait for a person, are late, that
-- nobody declares any more, or that are paused.
with look as (
    select c.name, c.problem,
           c.on_lost = 'hold' and lavoro.run_held(t.job_id) as held,
           case when t.next_at <= statement_timestamp() and c.problem is null
                then extract(epoch from statement_timestamp() - case
                    when t.next_at = '-infinity' then greatest(c.changed_at, t.decided)
                    else t.next_at end)::bigint else 0 end as late_seconds,
           c.declared is not null and not exists (
               select from lavoro.declarer d
               where c.id = any (d.schedules)
                 and d.seen_at > statement_timestamp() - interval '5 minutes') as undeclared,
           coalesce(extract(epoch from statement_timestamp() - c.paused_at)::bigint, 0) as paused_seconds
    from lavoro.schedule c
    join lavoro.schedule_state t on t.schedule_id = c.id
)
select l.name, l.problem, l.held, l.late_seconds, l.undeclared, l.paused_seconds
from look l
where l.problem is not null or l.held or l.undeclared or l.late_seconds > 0 or l.paused_seconds > 0
order by l.name
limit 1000
