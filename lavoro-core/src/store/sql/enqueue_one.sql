-- Enqueues one job inside the caller's transaction.
select e.id, e.created
from lavoro.enqueue_unique(
    $1, $2::jsonb, $3, $4, $5, $6 * interval '1 millisecond', $7, $8,
    $9 * interval '1 millisecond', $10::jsonb, $11, $12::jsonb,
    coalesce(clock_timestamp() + $13 * interval '1 millisecond', $14), $15) e
