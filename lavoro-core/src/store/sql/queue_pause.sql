-- Pauses queue $1, or resumes it.
insert into lavoro.queue (name, paused_at)
values ($1, case when $2 then clock_timestamp() end)
on conflict (name) do update set paused_at = case
    when $2 then coalesce(queue.paused_at, excluded.paused_at) end
