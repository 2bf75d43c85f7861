-- Enqueues one job with a unique key.
select e.id, e.created,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
from lavoro.enqueue_unique(
    $1, $2::jsonb, $3, $4, $5, $6 * interval '1 millisecond', $7, $8, $9 * interval '1 millisecond',
    $10::jsonb, $11, $12::jsonb) e
