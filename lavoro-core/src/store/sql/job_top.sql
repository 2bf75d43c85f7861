-- The number above the newest job's.
select coalesce((select id from lavoro.job order by id desc limit 1), 0) + 1 as top
