-- Makes a producer's row, once.
insert into lavoro.producer (id, seq, seen_at, ids)
values ($1, 0, statement_timestamp(), '{}')
on conflict (id) do nothing
