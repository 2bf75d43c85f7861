-- Changing many jobs at once. The caller has locked the jobs' rows (skipping those that others
-- hold), so nobody edits, retries, deletes or prunes them meanwhile; workers may still claim them.
-- Packs are locked in one order, so that two of these cannot wait for each other.

-- Takes those of these jobs that wait out of their packs, each pack once. Answers what
-- lavoro.withdraw answers. Jobs that run or have ended are left out.
create function lavoro.withdraw_all(wanted bigint[])
returns table (id bigint, attempts smallint, suspect boolean, due timestamptz)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
#variable_conflict use_column
declare
    p record;
    rest bigint[];
    sought bigint[] := wanted;
begin
    for look in 1..100 loop
        for p in
            select r.at, r.priority, r.bytes, r.attempt, r.suspect, r.queue, r.task, r.jobs
            from (select distinct j.id >> 10 as block, j.queue, j.task, j.priority
                  from lavoro.job j where j.id = any (sought)
                  order by block, queue, task, priority) l
            cross join lateral (
                select r.ctid as at, r.priority, r.bytes, r.attempt, r.suspect, r.queue, r.task, r.jobs
                from lavoro.ready r
                where r.queue = l.queue and r.task = l.task and r.suspect in (false, true)
                  and r.priority = l.priority and r.id between l.block << 10 and (l.block << 10) + 1023
                  and r.jobs && sought
                for update
            ) r
        loop
            rest := array(select u from unnest(p.jobs) u where u <> all (sought) order by u);
            delete from lavoro.ready where ctid = p.at;
            insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
            select rest[1], p.priority, p.bytes / cardinality(p.jobs) * cardinality(rest), p.attempt,
                   p.suspect, p.queue, p.task, rest
            where cardinality(rest) > 0;
            return query
            select u, p.attempt, p.suspect, null::timestamptz from unnest(p.jobs) u where u = any (sought);
            sought := array(select u from unnest(sought) u where u <> all (p.jobs));
        end loop;
        for p in
            select s.at, s.run_at, s.priority, s.bytes, s.attempt, s.suspect, s.queue, s.task, s.jobs
            from (select distinct u >> 10 as block from unnest(sought) u order by block) b
            cross join lateral (
                select s.ctid as at, s.run_at, s.priority, s.bytes, s.attempt, s.suspect, s.queue, s.task,
                       s.jobs
                from lavoro.scheduled s
                where s.id between b.block << 10 and (b.block << 10) + 1023 and s.jobs && sought
                order by s.id
                for update
            ) s
        loop
            rest := array(select u from unnest(p.jobs) u where u <> all (sought) order by u);
            delete from lavoro.scheduled where ctid = p.at;
            insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
            select rest[1], p.run_at, p.priority, p.bytes / cardinality(p.jobs) * cardinality(rest),
                   p.attempt, p.suspect, p.queue, p.task, rest
            where cardinality(rest) > 0;
            return query
            select u, p.attempt, p.suspect, p.run_at from unnest(p.jobs) u where u = any (sought);
            sought := array(select u from unnest(sought) u where u <> all (p.jobs));
        end loop;
        -- What is neither waiting nor in a lease nor ended was moved between two looks: look again.
        sought := array(
            select j.id from lavoro.job j
            where j.id = any (sought)
              and j.id not in (select unnest(l.jobs) from lavoro.lease l)
              and not exists (select from lavoro.outcome o where o.job_id = j.id));
        exit when sought = '{}';
    end loop;
    if sought <> '{}' then
        raise exception 'job % keeps moving: try again', sought[1] using errcode = '40001';
    end if;
end
$$;

-- Takes jobs that have ended out of the leases that still list them.
create function lavoro.unlist(ended bigint[])
returns void
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    -- From the row itself, so that what a worker has changed meanwhile is seen.
    update lavoro.lease l
    set attempts = array(select u.attempt from unnest(l.jobs, l.attempts) with ordinality as u (id, attempt, n)
                         where u.id <> all (ended) order by u.n),
        jobs = array(select u.id from unnest(l.jobs) with ordinality as u (id, n)
                     where u.id <> all (ended) order by u.n)
    where l.jobs && ended
$$;

-- Cancels jobs: those that wait, if waiting, and asks those that run to stop, if running.
-- Answers which. Those that were asked before are left out.
create function lavoro.cancel_all(ids bigint[], waiting boolean, running boolean)
returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    done bigint[] := '{}';
    asked bigint[] := '{}';
begin
    if waiting then
        with ended as (
            insert into lavoro.outcome (job_id, finished_at, attempt, state)
            select w.id, clock_timestamp(), w.attempts, 2 from lavoro.withdraw_all(ids) w
            returning job_id
        )
        select coalesce(array_agg(e.job_id), '{}') into done from ended e;
        delete from lavoro.unique_key u where u.job_id = any (done);
    end if;
    if running then
        with wish as (
            insert into lavoro.cancel_request (job_id, requested_at)
            select u, clock_timestamp() from unnest(ids) u
            where u in (select unnest(l.jobs) from lavoro.lease l)
              and not exists (select from lavoro.outcome o where o.job_id = u)
            on conflict do nothing
            returning job_id
        )
        select coalesce(array_agg(w.job_id), '{}') into asked from wish w;
    end if;
    return done || asked;
end
$$;

-- Makes jobs available now: those that wait, if waiting, and those that have ended, if ended.
-- Answers which. A job whose unique key another holds is left out. See lavoro.retry.
create function lavoro.retry_all(ids bigint[], waiting boolean, ended boolean)
returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    one bigint;
    done bigint[] := '{}';
    w record;
begin
    if ended then
        -- One by one where a key must be taken, which may be refused.
        for one in
            select j.id from lavoro.job j join lavoro.outcome o on o.job_id = j.id
            where j.id = any (ids) and j.unique_key is not null
            order by j.id
        loop
            begin
                perform lavoro.retry(one);
                done := done || one;
            exception when sqlstate 'LV011' or sqlstate 'LV012' or sqlstate 'LV013' then
                null;
            end;
        end loop;
        with old as (
            delete from lavoro.outcome o
            where o.job_id = any (ids)
              and o.job_id in (select j.id from lavoro.job j where j.id = any (ids) and j.unique_key is null)
            returning o.job_id, o.worker_id, o.started_at, o.finished_at, o.attempt, o.state, o.result
        ), past as (
            insert into lavoro.past_outcome (job_id, worker_id, started_at, finished_at, attempt, state, result)
            select e.job_id, e.worker_id, e.started_at, e.finished_at, e.attempt, e.state, e.result from old e
            returning job_id, attempt
        )
        select coalesce(array_agg(p.job_id), '{}') as ids, coalesce(array_agg(p.attempt), '{}') as attempts
        into w from past p;
        perform lavoro.unlist(w.ids);
        delete from lavoro.cancel_request c where c.job_id = any (w.ids);
        update lavoro.job j set expires_at = null
        where j.id = any (w.ids) and j.expires_at <= clock_timestamp();
        perform lavoro.put_back(w.ids, w.attempts, array_fill(false, array[cardinality(w.ids)]),
                                array_fill(null::timestamptz, array[cardinality(w.ids)]));
        done := done || w.ids;
    end if;
    if waiting then
        select coalesce(array_agg(q.id), '{}') as ids, coalesce(array_agg(q.attempts), '{}') as attempts,
               coalesce(array_agg(q.suspect), '{}') as suspects
        into w from lavoro.withdraw_all(array(select unnest(ids) except select unnest(done))) q;
        perform lavoro.put_back(w.ids, w.attempts, w.suspects,
                                array_fill(null::timestamptz, array[cardinality(w.ids)]));
        done := done || w.ids;
    end if;
    return done;
end
$$;

-- Deletes jobs with their history: those that wait, if waiting, and those that have ended, if
-- ended. Answers which.
create function lavoro.delete_all(ids bigint[], waiting boolean, ended boolean)
returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    done bigint[] := '{}';
    old bigint[] := '{}';
begin
    if waiting then
        done := array(select w.id from lavoro.withdraw_all(ids) w);
    end if;
    if ended then
        with o as (
            delete from lavoro.outcome o where o.job_id = any (ids) returning o.job_id
        )
        select coalesce(array_agg(o.job_id), '{}') into old from o;
        perform lavoro.unlist(old);
    end if;
    perform lavoro.forget(done || old);
    return done || old;
end
$$;

-- Changes jobs that wait; see lavoro.edit. Answers which. A job whose unique key is held in the
-- new queue is left out.
create function lavoro.edit_all(
    ids      bigint[],
    payload  jsonb,
    priority integer,
    run_at   timestamptz,
    queue    text,
    delay    interval
) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    one bigint;
    done bigint[] := '{}';
    keyed bigint[];
    w record;
begin
    keyed := array(select j.id from lavoro.job j
                   where j.id = any (ids) and j.unique_key is not null and j.queue <> edit_all.queue
                   order by j.id);
    foreach one in array keyed loop
        begin
            perform lavoro.edit(one, payload, priority, run_at, queue, delay);
            done := done || one;
        exception when sqlstate 'LV011' or sqlstate 'LV012' or sqlstate 'LV013' then
            null;
        end;
    end loop;
    run_at := coalesce(run_at, clock_timestamp() + delay);
    select coalesce(array_agg(q.id), '{}') as ids, coalesce(array_agg(q.attempts), '{}') as attempts,
           coalesce(array_agg(q.suspect), '{}') as suspects,
           coalesce(array_agg(coalesce(run_at, q.due)), '{}') as dues
    into w from lavoro.withdraw_all(array(select unnest(ids) except select unnest(keyed))) q;
    update lavoro.job j
    set payload = coalesce(edit_all.payload, j.payload), priority = coalesce(edit_all.priority, j.priority),
        run_at = coalesce(edit_all.run_at, j.run_at), queue = coalesce(edit_all.queue, j.queue)
    where j.id = any (w.ids);
    perform lavoro.put_back(w.ids, w.attempts, w.suspects, w.dues);
    return done || w.ids;
end
$$;
