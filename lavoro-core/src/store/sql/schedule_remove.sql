-- Removes a schedule; answers whether there was one.
select lavoro.schedule_remove($1) as removed
