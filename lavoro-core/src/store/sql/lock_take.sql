-- Takes the lock $1 with the token $2 for owner $3, or looks when it may be free; $7: the waiter.
select t.fence, t.retry_ms
from lavoro.lock_take($1::text, $2::uuid, $3::text, $4::integer, $5::text, $6::integer, $7::uuid, $8::boolean) t
