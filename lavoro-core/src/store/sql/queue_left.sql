-- How many jobs of packs up to id $2 wait in queue $1.
select coalesce((select sum(cardinality(r.jobs)) from lavoro.ready r
                 where r.queue = $1 and r.id <= $2), 0)::bigint
     + coalesce((select sum(cardinality(s.jobs)) from lavoro.scheduled s
                 where s.queue = $1 and s.id <= $2), 0)::bigint as jobs
