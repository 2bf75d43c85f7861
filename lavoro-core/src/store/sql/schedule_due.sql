-- Locks the states of up to $1 schedules that are to be looked at, but for those that another holds.
-- $2 stands in for the server's clock in tests. Should the caller freeze while it has them, they are
-- let go before their slots count as missed.
select t.schedule_id,
       (select set_config('idle_in_transaction_session_timeout', '5s', true)) as patience
from lavoro.schedule_state t
where t.next_at <= coalesce($2::timestamptz, statement_timestamp())
order by t.next_at
limit $1
for update skip locked
