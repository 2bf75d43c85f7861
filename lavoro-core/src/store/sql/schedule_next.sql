-- In how many milliseconds a schedule is to be looked at; null: none is. This is what an idle firer
-- asks.
select case when min(t.next_at) = '-infinity' then 0
            else (extract(epoch from min(t.next_at) - clock_timestamp()) * 1000)::bigint end as next_ms
from lavoro.schedule_state t
