-- Which of the queues $1 have jobs that a worker with the tasks $2 may claim now. Locks and
-- writes nothing: this is what an idle worker asks. $3: whether suspects count.
select w.queue
from unnest($1::text[]) as w (queue)
where not exists (select from lavoro.queue q where q.name = w.queue and q.paused_at is not null)
  and exists (
      select
      from unnest($2::text[]) as t (task)
      cross join lateral (
          select from lavoro.ready r
          where r.queue = w.queue and r.task = t.task and r.suspect = false
          limit 1
      ) r
      union all
      select
      from unnest($2::text[]) as t (task)
      cross join lateral (
          select from lavoro.ready r
          where $3 and r.queue = w.queue and r.task = t.task and r.suspect = true
          limit 1
      ) r
  )
