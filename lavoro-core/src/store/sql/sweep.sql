-- Deletes what only served its time: requests to cancel jobs that have ended, producers unseen
-- for a day, expiries long over of jobs that are gone, and workers that ended before everything
-- they ran was pruned ($1: for how many milliseconds jobs are kept if no rule keeps them longer).
with cancelled as (
    delete from lavoro.cancel_request c
    where exists (select from lavoro.outcome o where o.job_id = c.job_id)
), producers as (
    delete from lavoro.producer p where p.seen_at < statement_timestamp() - interval '1 day'
), expiries as (
    delete from lavoro.expiry x
    where x.expires_at < statement_timestamp() - interval '1 day'
      and not exists (select from lavoro.job j where j.id = x.job_id)
)
delete from lavoro.worker w
where w.ended_at < statement_timestamp() - greatest(
          $1::bigint * interval '1 millisecond',
          (select max(greatest(r.completed, r.cancelled, r.discarded)) from lavoro.retention r))
  and not exists (select from lavoro.lease l where l.worker_id = w.id)
