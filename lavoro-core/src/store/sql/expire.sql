-- Ends up to $1 waiting jobs that have expired. Answers how many were looked at and how many
-- ended. $2 stands in for the server's clock in tests.
with due as materialized (
    select e.job_id, coalesce($2::timestamptz, statement_timestamp()) as at
    from lavoro.expiry e
    where e.expires_at <= coalesce($2::timestamptz, statement_timestamp())
    order by e.expires_at
    limit $1
    for update skip locked
)
select count(*) as looked, count(*) filter (where lavoro.expire(d.job_id, d.at)) as expired
from due d
