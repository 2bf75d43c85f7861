-- Pauses a schedule.
select lavoro.schedule_pause($1)
