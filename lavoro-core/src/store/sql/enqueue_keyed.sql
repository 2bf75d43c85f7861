-- Enqueues one job with a unique key under the number $1, unless that was done before and only
-- the reply was lost.
select e.id, e.created,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
from (
    select q.id, q.created
    from (select where not exists (select from lavoro.job j where j.id = $1)) as n
    cross join lateral lavoro.enqueue_as(
        $1, $2, $3::jsonb, $4, $5, $6, $7 * interval '1 millisecond', $8, $9,
        $10 * interval '1 millisecond', $11::jsonb, $12, $13::jsonb,
        coalesce(clock_timestamp() + $14 * interval '1 millisecond', $15), $16) q
    union all
    select j.id, true from lavoro.job j where j.id = $1
) e
