-- Records what a worker did: whole rows of its slices ($1, $2), which began $5 and ended $6
-- milliseconds ago. Writing the same again changes nothing. Nobody waits for the disk: a crash of the
-- server may forget the last rows.
insert into lavoro.tally as t (worker_id, slice, queue, task, begun_at, updated_at, changes, completed,
                               retried, cancelled, discarded, waited, ran)
select i.worker_id, i.slice, i.queue, i.task,
       statement_timestamp() - i.began * interval '1 millisecond',
       statement_timestamp() - i.ended * interval '1 millisecond',
       i.changes, i.completed, i.retried, i.cancelled, i.discarded, i.waited::bigint[], i.ran::bigint[]
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::bigint[])
     as i (worker_id, slice, queue, task, began, ended, completed, retried, cancelled, discarded,
           waited, ran, changes)
where (select set_config('synchronous_commit', 'off', true)) is not null
on conflict (worker_id, slice, queue, task) do update
set updated_at = excluded.updated_at, changes = excluded.changes, completed = excluded.completed, retried = excluded.retried,
    cancelled = excluded.cancelled, discarded = excluded.discarded, waited = excluded.waited,
    ran = excluded.ran
-- An older state of the row may come late, from a connection that was given up.
where t.changes < excluded.changes
