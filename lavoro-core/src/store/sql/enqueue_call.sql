-- For other drivers: enqueues a job in the transaction that it is sent in. Every parameter is
-- text; $11 is a JSON array of tags.
select e.id, e.created
from lavoro.enqueue_unique(
    $1::text, $2::text::jsonb, $3::text, $4::text::integer, $5::text::timestamptz,
    $6::text::bigint * interval '1 millisecond', $7::text::integer, $8::text,
    $9::text::bigint * interval '1 millisecond', $10::text::jsonb,
    case when $11::text is not null then array(select jsonb_array_elements_text($11::text::jsonb)) end,
    $12::text::jsonb, coalesce(clock_timestamp() + $13::text::bigint * interval '1 millisecond',
                               $14::text::timestamptz), $15::text) e
