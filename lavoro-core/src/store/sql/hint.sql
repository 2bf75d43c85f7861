-- Wakes idle workers of the queues $2 over channel $1. A lost hint costs a late pick-up and no
-- more, so the commit need not wait for the disk.
select pg_notify($1, queue)
from unnest($2::text[]) as q (queue)
where set_config('synchronous_commit', 'off', true) is not null
