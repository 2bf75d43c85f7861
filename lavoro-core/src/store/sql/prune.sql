-- Deletes up to $4 jobs that have been kept long enough, and all that hangs on them, from the
-- block of 4096 ids that has been due longest; then notes when it is due next. Answers how many,
-- or no row if no block is due or another pruner is at it.
--
-- $1 to $3  milliseconds that completed, cancelled and discarded jobs are kept if no rule says so
-- $5        milliseconds until the next round: no block is due before
-- $6        the print of the rules, from kept_note
-- $7        stands in for the server's clock in tests
--
-- A job is locked before its outcome, as lavoro.retry and lavoro.delete do, and passed over if
-- someone else has locked it: so nobody waits for anybody. It goes only if its outcome, as it
-- was seen here, went too: one that has been retried meanwhile stays.
with clock as materialized (
    select coalesce($7::timestamptz, statement_timestamp()) as now
), rules as materialized (
    select coalesce(d.completed, $1::bigint * interval '1 millisecond') as completed,
           coalesce(d.cancelled, $2::bigint * interval '1 millisecond') as cancelled,
           coalesce(d.discarded, $3::bigint * interval '1 millisecond') as discarded,
           exists (select from lavoro.retention r where r.task <> '') as by_task
    from (select) one
    left join lavoro.retention d on d.task = ''
), mark as materialized (
    select k.block, k.block << 12 as low, (k.block + 1) << 12 as high
    from lavoro.kept k
    where k.block = (select c.block from lavoro.kept c
                     where c.due_at <= (select now from clock) and c.block >= 0
                     order by c.due_at limit 1)
      and k.due_at <= (select now from clock)
    for update skip locked
), ended as materialized (
    select o.at, o.job_id, k.keep, o.finished_at + k.keep as until
    from mark m
    cross join rules r
    cross join lateral (
        select o.ctid as at, o.job_id, o.finished_at, o.state
        from lavoro.outcome o
        where o.job_id >= m.low and o.job_id < m.high
        order by o.job_id
        limit 4096
    ) o
    cross join lateral (
        -- Jobs are looked at only where their task matters.
        select coalesce(
            case when r.by_task then (
                select case o.state when 1 then t.completed when 2 then t.cancelled
                                    else t.discarded end
                from lavoro.job j
                join lavoro.retention t on t.task = j.task
                where j.id = o.job_id
            ) end,
            case o.state when 1 then r.completed when 2 then r.cancelled else r.discarded end) as keep
    ) k
), free as materialized (
    select j.id, e.at
    from (select job_id, at from ended
          where until <= (select now from clock)
            -- A lease that went on listing it beside jobs that run would never be empty.
            and job_id <> all (array(select u.id
                                     from lavoro.lease l
                                     cross join lateral unnest(l.jobs) as u (id)
                                     where l.worker_id > 0)) -- by the index
          order by job_id) e
    cross join lateral (
        select j.id from lavoro.job j where j.id = e.job_id for update skip locked
    ) j
    limit $4
), gone as (
    delete from lavoro.outcome o
    where o.ctid = any (array(select at from free))
    returning o.job_id
), job as (
    delete from lavoro.job j where j.id = any (array(select job_id from gone))
), error as (
    delete from lavoro.error e where e.job_id = any (array(select job_id from gone))
), past as (
    delete from lavoro.past_outcome p where p.job_id = any (array(select job_id from gone))
), log as (
    delete from lavoro.log l where l.job_id = any (array(select job_id from gone))
), progress as (
    delete from lavoro.progress p where p.job_id = any (array(select job_id from gone))
), checkpoint as (
    delete from lavoro.checkpoint c where c.job_id = any (array(select job_id from gone))
), expiry as (
    delete from lavoro.expiry x where x.job_id = any (array(select job_id from gone))
), wish as (
    delete from lavoro.cancel_request c where c.job_id = any (array(select job_id from gone))
), done as materialized (
    -- Not done: the limit was met, and there is more. The mark stays due.
    select m.block, m.low, m.high, t.young, t.ended - t.gone as rest, t.old - t.gone as passed_over
    from mark m
    cross join (
        select (select count(*) from ended) as ended, (select count(*) from gone) as gone,
               (select count(*) from ended where until <= (select now from clock)) as old,
               -- Up to an hour late, so that a block is not looked at for each job in it.
               (select min(until + least(keep / 100, interval '1 hour'))
                from ended where until > (select now from clock)) as young
    ) t
    where t.gone < $4 or t.old = t.gone
), noted as (
    update lavoro.kept k
    set print = $6::bigint,
        due_at = greatest(
            (select now from clock) + $5::bigint * interval '1 millisecond',
            least(
                -- At the latest: a job that was retried by hand may have ended again.
                (select now from clock) + interval '1 hour',
                d.young,
                case when d.passed_over > 0 then (select now from clock) end,
                -- What has not ended yet may end now.
                case when (select count(*) from lavoro.job j where j.id >= d.low and j.id < d.high)
                          > (select count(*) from ended)
                then (select now from clock) + case when r.by_task then (
                    select min(least(coalesce(t.completed, r.completed),
                                     coalesce(t.cancelled, r.cancelled),
                                     coalesce(t.discarded, r.discarded)))
                    from lavoro.job j
                    left join lavoro.retention t on t.task = j.task
                    where j.id >= d.low and j.id < d.high
                      and not exists (select from lavoro.outcome o where o.job_id = j.id)
                ) else least(r.completed, r.cancelled, r.discarded) end end))
    from done d
    cross join rules r
    where k.block = d.block and d.rest > 0
), emptied as (
    -- A job of it that ends later makes it known again.
    delete from lavoro.kept k using done d where k.block = d.block and d.rest = 0
)
select (select count(*) from gone) as deleted from mark
