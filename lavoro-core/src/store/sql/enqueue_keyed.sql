-- Enqueues one job with a unique key under the number $1.
select e.id, e.created,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
from lavoro.enqueue_as(
    $1, $2, $3::jsonb, $4, $5, $6, $7 * interval '1 millisecond', $8, $9,
    $10 * interval '1 millisecond', $11::jsonb, $12, $13::jsonb) e
