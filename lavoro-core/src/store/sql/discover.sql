-- The queues with jobs in them whose names begin with one of the prefixes $1. Jumps from name to
-- name through the index, however many packs a queue has.
with recursive name as (
    select p.prefix collate "C" as prefix,
           (select r.queue from lavoro.ready r where r.queue >= p.prefix collate "C"
            order by r.queue limit 1) as queue
    from unnest($1::text[]) as p (prefix)
    union all
    select n.prefix,
           (select r.queue from lavoro.ready r where r.queue > n.queue order by r.queue limit 1)
    from name n
    where starts_with(n.queue, n.prefix)
)
select distinct n.queue from name n where starts_with(n.queue, n.prefix)
