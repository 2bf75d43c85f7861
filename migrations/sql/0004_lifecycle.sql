-- Ending and reviving jobs by SQL.

-- Completes a running job inside the caller's transaction: its effects and the completion
-- commit together or not at all. Raises LV014 if the lease is no longer the job's current one.
--
-- Only this job is locked until the transaction ends. Its lease is locked FOR KEY SHARE, which
-- neither heartbeats, nor the completion of its neighbours, nor their rescue conflicts with;
-- rescue skips jobs whose row is locked. The order matters: the job first, so that a rescue
-- that has just committed is seen, or (above READ COMMITTED) fails the row lock on the lease.
create function lavoro.complete(job_id bigint, token uuid, result jsonb default null)
returns void
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    held record;
begin
    perform 1 from lavoro.job j where j.id = complete.job_id for no key update;
    select l.worker_id, l.claimed_at, l.attempts[array_position(l.jobs, complete.job_id)] as attempt
    into held
    from lavoro.lease l
    where l.token = complete.token and complete.job_id = any (l.jobs)
    for key share;
    if not found then
        raise exception 'job % is not held by this lease any more: its outcome is refused', job_id
            using errcode = 'LV014', hint = 'Roll back. Another worker runs the job, or has finished it.';
    end if;
    insert into lavoro.outcome as o (job_id, worker_id, started_at, finished_at, attempt, state, result)
    values (complete.job_id, held.worker_id, held.claimed_at, clock_timestamp(), held.attempt, 1,
            complete.result)
    on conflict do nothing;
    if not found then
        raise exception 'job % has already finished: its outcome is refused', job_id
            using errcode = 'LV014', hint = 'Roll back.';
    end if;
    delete from lavoro.unique_key u where u.job_id = complete.job_id;
end
$$;

-- Takes a waiting job out of its pack. Answers the attempts counted so far, whether it is a
-- suspect, and when it is due (null: now), or nulls if the job does not wait. The rest of the
-- pack stays where it was.
create function lavoro.withdraw(wanted bigint, out attempts smallint, out suspect boolean,
                                out due timestamptz)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    j record;
    p record;
begin
    -- A claim, a promotion, an edit or a renaming may replace the pack between two looks, and the
    -- last two the lane: the job is then in another pack, or in a lease; or it has been deleted. So
    -- look until it is found.
    for look in 1..100 loop
        select queue, task, priority into j from lavoro.job where id = wanted;
        if not found then
            return;
        end if;
        -- All jobs of a pack lie in one block of 1024 ids, so the pack starts in the job's own.
        delete from lavoro.ready r
        where r.queue = j.queue and r.task = j.task and r.suspect in (false, true)
          and r.priority = j.priority and r.id between wanted >> 10 << 10 and wanted
          and wanted = any (r.jobs)
        returning r.attempt, r.bytes / cardinality(r.jobs) as bytes, r.suspect,
                  array_remove(r.jobs, wanted) as rest into p;
        if found then
            insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
            select p.rest[1], j.priority, p.bytes * cardinality(p.rest), p.attempt, p.suspect, j.queue,
                   j.task, p.rest
            where cardinality(p.rest) > 0;
            attempts := p.attempt;
            suspect := p.suspect;
            return;
        end if;
        delete from lavoro.scheduled s
        where s.id between wanted >> 10 << 10 and wanted and wanted = any (s.jobs)
        returning s.attempt, s.bytes / cardinality(s.jobs) as bytes, s.suspect, s.run_at, s.priority,
                  s.queue, array_remove(s.jobs, wanted) as rest into p;
        if found then
            insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
            select p.rest[1], p.run_at, p.priority, p.bytes * cardinality(p.rest), p.attempt, p.suspect,
                   p.queue, j.task, p.rest
            where cardinality(p.rest) > 0;
            attempts := p.attempt;
            suspect := p.suspect;
            due := p.run_at;
            return;
        end if;
        perform 1 from lavoro.outcome o where o.job_id = wanted
        union all select 1 from lavoro.lease l where wanted = any (l.jobs);
        if found then
            return;
        end if;
    end loop;
    if j is not null then
        raise exception 'job % keeps moving: try again', wanted using errcode = '40001';
    end if;
end
$$;

-- Puts jobs that were withdrawn back to waiting, in packs. A suspect, or a job with a large
-- payload, gets a pack of its own. A time that has come counts as none.
create function lavoro.put_back(ids bigint[], attempts smallint[], suspects boolean[], dues timestamptz[])
returns void
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    with job as materialized (
        select j.id, j.priority, j.queue, j.task, octet_length(j.payload::text) as bytes, u.attempt,
               u.suspect, case when u.due > clock_timestamp() then u.due end as due
        from unnest(ids, attempts, suspects, dues) as u (id, attempt, suspect, due)
        join lavoro.job j on j.id = u.id
    ), pack as materialized (
        select min(id) as id, due, priority, sum(bytes)::integer as bytes, attempt, suspect, queue, task,
               array_agg(id order by id) as jobs
        from job
        group by queue, task, priority, attempt, suspect, due, id >> 6,
                 case when suspect or bytes > 16384 then id end
    ), later as (
        insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
        select id, due, priority, bytes, attempt, suspect, queue, task, jobs
        from pack where due is not null
    )
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, priority, bytes, attempt, suspect, queue, task, jobs
    from pack where due is null
$$;

-- Cancels a job. Returns 'cancelled' for one that waited, 'requested' for one that runs (its
-- handler is told when its worker looks next), or the state of one that has ended.
create function lavoro.cancel(job_id bigint)
returns text
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    attempts smallint;
    ended smallint;
begin
    perform 1 from lavoro.job j where j.id = cancel.job_id;
    if not found then
        raise exception 'there is no job %', job_id using errcode = 'LV012';
    end if;
    select w.attempts into attempts from lavoro.withdraw(job_id) w;
    if attempts is not null then
        insert into lavoro.outcome (job_id, finished_at, attempt, state)
        values (cancel.job_id, clock_timestamp(), attempts, 2);
        delete from lavoro.unique_key u where u.job_id = cancel.job_id;
        return 'cancelled';
    end if;
    select o.state into ended from lavoro.outcome o where o.job_id = cancel.job_id;
    if found then
        return (array['completed', 'cancelled', 'discarded'])[ended];
    end if;
    -- Someone may have deleted it while we waited for its pack.
    perform 1 from lavoro.job j where j.id = cancel.job_id;
    if not found then
        raise exception 'there is no job %', job_id using errcode = 'LV012';
    end if;
    insert into lavoro.cancel_request as c (job_id, requested_at)
    values (cancel.job_id, clock_timestamp())
    on conflict do nothing;
    return 'requested';
end
$$;

-- Makes a job available now: one that waits for its time, or one that has ended, which gets
-- one more attempt and takes its unique key again. Raises LV013 if it runs, or if another job
-- holds its key.
create function lavoro.retry(job_id bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    j record;
    attempts smallint;
    suspect boolean;
    holder bigint;
begin
    select q.queue, q.task, q.unique_key into j
    from lavoro.job q where q.id = retry.job_id for no key update;
    if not found then
        raise exception 'there is no job %', job_id using errcode = 'LV012';
    end if;
    select w.attempts, w.suspect into attempts, suspect from lavoro.withdraw(job_id) w;
    if attempts is null then
        with ended as (
            delete from lavoro.outcome o where o.job_id = retry.job_id
            returning o.job_id, o.worker_id, o.started_at, o.finished_at, o.attempt, o.state, o.result
        )
        insert into lavoro.past_outcome (job_id, worker_id, started_at, finished_at, attempt, state, result)
        select e.job_id, e.worker_id, e.started_at, e.finished_at, e.attempt, e.state, e.result from ended e
        returning attempt into attempts;
        if attempts is null then
            raise exception 'job % is running', job_id using errcode = 'LV013',
                hint = 'Cancel it first, or wait until it has ended.';
        end if;
        -- A lease that still lists the job must not be able to end it a second time.
        update lavoro.lease l
        set attempts = array(select a from unnest(l.jobs, l.attempts) as u (id, a) where id <> retry.job_id),
            jobs = array_remove(l.jobs, retry.job_id)
        where retry.job_id = any (l.jobs);
        -- A wish to cancel that came too late is not one for the new attempt, nor does a job
        -- that someone wants now expire.
        delete from lavoro.cancel_request c where c.job_id = retry.job_id;
        update lavoro.job q set expires_at = null
        where q.id = retry.job_id and q.expires_at <= clock_timestamp();
        if j.unique_key is not null then
            select k.holder into holder
            from lavoro.take_key(job_id, j.queue, j.task, j.unique_key) k;
            if holder <> job_id then
                raise exception 'job % holds the unique key of job %', holder, job_id
                    using errcode = 'LV013';
            end if;
        end if;
    end if;
    perform lavoro.put_back(array[job_id], array[attempts], array[coalesce(suspect, false)],
                            array[null::timestamptz]);
end
$$;
