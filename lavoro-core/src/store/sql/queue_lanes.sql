-- The lanes of the packs that may run now in queue $1, up to id $2.
select distinct r.task, r.suspect, r.priority
from lavoro.ready r
where r.queue = $1 and r.id <= $2
