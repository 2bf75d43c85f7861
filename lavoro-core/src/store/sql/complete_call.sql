-- For other drivers: completes a running job in the transaction that it is sent in. Every
-- parameter is text.
select lavoro.complete($1::text::bigint, $2::text::uuid, $3::text::jsonb)
