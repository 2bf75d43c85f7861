-- Sets how long the ended jobs of task $4 (empty: of every task) are kept, in milliseconds: $1
-- completed, $2 cancelled, $3 discarded; null leaves it as it was.
insert into lavoro.retention as r (task, completed, cancelled, discarded)
values ($4, $1::bigint * interval '1 millisecond', $2::bigint * interval '1 millisecond',
        $3::bigint * interval '1 millisecond')
on conflict (task) do update
set completed = coalesce(excluded.completed, r.completed),
    cancelled = coalesce(excluded.cancelled, r.cancelled),
    discarded = coalesce(excluded.discarded, r.discarded)
