-- In how many milliseconds the next scheduled pack is due; null: none is scheduled. This is what
-- an idle promoter asks.
select (extract(epoch from min(s.run_at) - statement_timestamp()) * 1000)::bigint as next_ms
from lavoro.scheduled s
