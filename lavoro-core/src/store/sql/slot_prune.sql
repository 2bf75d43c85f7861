-- Deletes up to $1 decisions that are older than $2 milliseconds, and declarers unseen for a day. The
-- latest decision of a schedule goes too: its state says how far it has come.
with gone as (
    delete from lavoro.declarer d where d.seen_at < statement_timestamp() - interval '1 day'
)
delete from lavoro.slot
where ctid = any (array(
    select s.ctid
    from lavoro.slot s
    where s.decided_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
      and s.decision <> 'queued'
    order by s.decided_at
    limit $1))
