-- Says whether worker $1 waits for a wake-up, so that producers know to send a hint. A lost
-- flag costs a late pick-up and no more, so the commit need not wait for the disk.
update lavoro.worker set idle = $2
where id = $1 and idle <> $2 and set_config('synchronous_commit', 'off', true) is not null
