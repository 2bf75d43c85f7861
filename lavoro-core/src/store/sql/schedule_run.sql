-- Enqueues a schedule's job now; answers its number.
select lavoro.schedule_run($1) as id,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
