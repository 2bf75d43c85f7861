-- Jobs below id $1 in scheduled packs, of queue $3 and task $4 (null: any), without counted attempts
-- if $5 or with them if $6: those in the newest pack's block of 1024 ids and the $2 blocks below it.
-- All jobs of a pack lie in one block, so there are no others down to floor (null: to the end).
with top as materialized (
    select (s.id >> 10 << 10) - $2::bigint * 1024 as floor
    from lavoro.scheduled s where s.id < $1 order by s.id desc limit 1
)
select coalesce((
           select array_agg(u.id order by u.id desc)
           from lavoro.scheduled s
           cross join lateral unnest(s.jobs) as u (id)
           where s.id < $1 and s.id >= (select floor from top) and u.id < $1
             and ($3::text is null or s.queue = $3) and ($4::text is null or s.task = $4)
             and (s.attempt = 0 and $5 or s.attempt > 0 and $6)), '{}') as ids,
       (select floor from top) as floor
