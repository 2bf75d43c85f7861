-- What workers did since the schema was made, by queue and task: numbers that only grow.
select queue, task, sum(completed)::bigint as completed, sum(retried)::bigint as retried,
       sum(cancelled)::bigint as cancelled, sum(discarded)::bigint as discarded
from lavoro.tally
group by queue, task
order by queue, task
