-- Resumes a schedule.
select lavoro.schedule_resume($1)
