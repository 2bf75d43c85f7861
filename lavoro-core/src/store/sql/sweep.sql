-- Deletes what only served its time: requests to cancel jobs that have ended, producers unseen
-- for a day, and workers that ended before everything they ran was pruned.
with cancelled as (
    delete from lavoro.cancel_request c
    where exists (select from lavoro.outcome o where o.job_id = c.job_id)
), producers as (
    delete from lavoro.producer p where p.seen_at < statement_timestamp() - interval '1 day'
)
delete from lavoro.worker w
where w.ended_at < statement_timestamp() - $1 * interval '1 millisecond'
  and not exists (select from lavoro.lease l where l.worker_id = w.id)
