-- Says that process $1 lives, and declares the schedules $2 in code.
insert into lavoro.declarer as d (id, seen_at, schedules)
values ($1, clock_timestamp(), $2::bigint[])
on conflict (id) do update set seen_at = excluded.seen_at, schedules = excluded.schedules
