-- Registers a worker.
insert into lavoro.worker (beat_at, started_at, lease_ms, pid, name, host, language, version, queues,
                           tasks)
values (clock_timestamp(), clock_timestamp(), $1, $2, $3, $4, $5, $6, $7::jsonb, $8)
returning id
