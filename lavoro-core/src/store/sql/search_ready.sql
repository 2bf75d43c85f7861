-- Jobs below id $1 in ready packs, of queue $3 and task $4 (null: any): those in the newest pack's
-- block of 1024 ids and the $2 blocks below it. All jobs of a pack lie in one block, so there are
-- no others down to floor (null: to the end).
--
-- The index of ready begins with the lane: lanes are few, and found by leaping from one to the next.
with recursive lane as (
    (select r.queue, r.task, r.suspect, r.priority
     from lavoro.ready r
     order by r.queue, r.task, r.suspect, r.priority desc, r.id
     limit 1)
    union all
    select n.queue, n.task, n.suspect, n.priority
    from lane l
    cross join lateral (
        (select r.queue, r.task, r.suspect, r.priority
         from lavoro.ready r
         where r.queue = l.queue and r.task = l.task and r.suspect = l.suspect and r.priority < l.priority
         order by r.priority desc, r.id
         limit 1)
        union all
        (select r.queue, r.task, r.suspect, r.priority
         from lavoro.ready r
         where (r.queue, r.task, r.suspect) > (l.queue, l.task, l.suspect)
         order by r.queue, r.task, r.suspect, r.priority desc, r.id
         limit 1)
        limit 1
    ) n
), wanted as materialized (
    select queue, task, suspect, priority
    from lane
    where ($3::text is null or queue = $3) and ($4::text is null or task = $4)
), top as materialized (
    select (max(h.id) >> 10 << 10) - $2::bigint * 1024 as floor
    from wanted w
    cross join lateral (
        select r.id
        from lavoro.ready r
        where r.queue = w.queue and r.task = w.task and r.suspect = w.suspect and r.priority = w.priority
          and r.id < $1
        order by r.id desc
        limit 1
    ) h
)
select coalesce((
           select array_agg(u.id order by u.id desc)
           from wanted w
           cross join lateral (
               select r.jobs
               from lavoro.ready r
               where r.queue = w.queue and r.task = w.task and r.suspect = w.suspect
                 and r.priority = w.priority and r.id < $1 and r.id >= (select floor from top)
               offset 0
           ) p
           cross join lateral unnest(p.jobs) as u (id)
           where u.id < $1), '{}') as ids,
       (select floor from top) as floor
