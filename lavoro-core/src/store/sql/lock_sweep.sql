-- Deletes names that have been free for an hour, and waiters that have gone.
with waiters as (
    delete from lavoro.lock_waiter w where w.expires_at < statement_timestamp() - interval '1 minute'
), free as (
    select l.name
    from lavoro.lock l
    where l.acquired_at < statement_timestamp() - interval '1 hour'
      and l.expires_at < statement_timestamp() - interval '1 hour'
    order by l.acquired_at
    limit 10000
    for update skip locked
)
delete from lavoro.lock l using free where l.name = free.name
