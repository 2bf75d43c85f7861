-- Moves up to $1 packs whose time has come to ready. Answers their queues, how many there were,
-- and in how many milliseconds the next is due. $2 stands in for the server's clock in tests.
with due as materialized (
    select s.ctid as at, s.id, s.priority, s.bytes, s.attempt, s.suspect, s.queue, s.task, s.jobs
    from lavoro.scheduled s
    where s.run_at <= coalesce($2::timestamptz, statement_timestamp())
    order by s.run_at
    limit $1
    for update skip locked
), gone as (
    delete from lavoro.scheduled where ctid = any (array(select at from due))
), moved as (
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, priority, bytes, attempt, suspect, queue, task, jobs from due
)
select (select coalesce(array_agg(distinct queue), '{}') from due) as queues,
       (select count(*) from due) as packs,
       (select (extract(epoch from min(s.run_at) - statement_timestamp()) * 1000)::bigint
        from lavoro.scheduled s
        where s.run_at > coalesce($2::timestamptz, statement_timestamp())) as next_ms,
       exists (select from lavoro.worker w where w.idle and w.ended_at is null) as idle
