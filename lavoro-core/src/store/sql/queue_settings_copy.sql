-- Gives queue $2 the settings of queue $1. If one of the two is paused, it stays paused: what
-- someone has stopped does not start because of a name.
insert into lavoro.queue (name, paused_at)
select $2, q.paused_at from lavoro.queue q where q.name = $1
on conflict (name) do update set paused_at = coalesce(queue.paused_at, excluded.paused_at)
