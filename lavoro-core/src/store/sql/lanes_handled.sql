-- Which of the lanes (queues $1, tasks $2) a live worker handles.
select q.queue, q.task, lavoro.has_worker(q.queue, q.task) as handled
from unnest($1::text[], $2::text[]) as q (queue, task)
