-- Changing jobs by hand, and what becomes of jobs without a worker.

-- Changes a job that waits; a null leaves its field as it is. Attempts, suspicion and, unless
-- run_at or delay is given, the time it waits for stay. Raises LV013 if the job runs or has ended,
-- or if another job holds its unique key in the new queue, and LV011 if that is not known yet.
create function lavoro.edit(
    job_id   bigint,
    payload  jsonb default null,
    priority integer default null,
    run_at   timestamptz default null,
    queue    text default null,
    delay    interval default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
set lock_timeout = '5s'
as $$
declare
    old_queue text;
    held record;
begin
    if payload is not null then
        perform lavoro.check_json('payload', payload, 1048576);
    end if;
    perform lavoro.due_at(run_at, delay);
    run_at := coalesce(run_at, clock_timestamp() + delay);
    if queue is not null then
        perform lavoro.check_name('queue', queue, 255, 'LV002');
    end if;
    select q.queue into old_queue from lavoro.job q where q.id = edit.job_id for no key update;
    if not found then
        raise exception 'there is no job %', job_id using errcode = 'LV012';
    end if;
    select w.attempts, w.suspect, w.due into held from lavoro.withdraw(job_id) w;
    if held.attempts is null then
        raise exception 'job % does not wait: it runs, or has ended', job_id using errcode = 'LV013';
    end if;
    update lavoro.job q
    set payload = coalesce(edit.payload, q.payload), priority = coalesce(edit.priority, q.priority),
        run_at = coalesce(edit.run_at, q.run_at), queue = coalesce(edit.queue, q.queue)
    where q.id = edit.job_id;
    if queue <> old_queue then
        begin
            update lavoro.unique_key u set queue = edit.queue where u.job_id = edit.job_id;
        exception when unique_violation then
            raise exception 'another job of queue % holds the unique key of job %', queue, job_id
                using errcode = 'LV013';
        when lock_not_available then
            raise exception 'another transaction holds the unique key of job % in queue % and has not ended',
                job_id, queue using errcode = 'LV011', hint = 'Try again when it has.';
        end;
    end if;
    perform lavoro.put_back(array[job_id], array[held.attempts], array[held.suspect],
                            array[coalesce(run_at, held.due)]);
end
$$;

-- Moves the unique key of a job to another queue. Answers the job that holds it there instead:
-- 0 if that one is not committed yet. Null: the key has moved, or the job has none.
create function lavoro.move_key(job_id bigint, queue text)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
set lock_timeout = '100ms'
as $$
begin
    update lavoro.unique_key u set queue = move_key.queue where u.job_id = move_key.job_id;
    return null;
exception when unique_violation or lock_not_available then
    return coalesce(
        (select h.job_id
         from lavoro.unique_key k
         join lavoro.unique_key h on h.queue = move_key.queue and h.task = k.task and h.key = k.key
         where k.job_id = move_key.job_id), 0);
end
$$;

-- Deletes a job that waits or has ended, with its history. Raises LV013 if it runs.
create function lavoro.delete(job_id bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    attempts smallint;
begin
    perform 1 from lavoro.job j where j.id = delete.job_id for update;
    if not found then
        raise exception 'there is no job %', job_id using errcode = 'LV012';
    end if;
    select w.attempts into attempts from lavoro.withdraw(job_id) w;
    if attempts is null then
        delete from lavoro.outcome o where o.job_id = delete.job_id;
        if not found then
            raise exception 'job % is running', job_id using errcode = 'LV013',
                hint = 'Cancel it first, or wait until it has ended.';
        end if;
        -- A lease must not list a job that does not exist.
        update lavoro.lease l
        set attempts = array(select a from unnest(l.jobs, l.attempts) as u (id, a) where id <> delete.job_id),
            jobs = array_remove(l.jobs, delete.job_id)
        where delete.job_id = any (l.jobs);
    end if;
    perform lavoro.forget(array[job_id]);
end
$$;

-- Deletes jobs that are in no pack, lease or outcome any more, and what is known of them.
create function lavoro.forget(jobs bigint[])
returns void
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    delete from lavoro.unique_key where job_id = any (jobs);
    delete from lavoro.cancel_request where job_id = any (jobs);
    delete from lavoro.expiry where job_id = any (jobs);
    delete from lavoro.progress where job_id = any (jobs);
    delete from lavoro.checkpoint where job_id = any (jobs);
    delete from lavoro.log where job_id = any (jobs);
    delete from lavoro.error where job_id = any (jobs);
    delete from lavoro.past_outcome where job_id = any (jobs);
    delete from lavoro.job where id = any (jobs);
$$;

-- Ends a waiting job that has expired at this time as cancelled, unless an attempt has counted. A
-- job that someone else is changing is left for later. Like edit and retry it locks the job first:
-- the lane that it puts a job back into must not change meanwhile.
create function lavoro.expire(job_id bigint, at timestamptz)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    deadline timestamptz;
    held record;
begin
    select q.expires_at into deadline
    from lavoro.job q
    where q.id = expire.job_id
    for no key update skip locked;
    if not found then
        delete from lavoro.expiry e
        where e.job_id = expire.job_id and not exists (select from lavoro.job q where q.id = expire.job_id);
        return false;
    end if;
    delete from lavoro.expiry e where e.job_id = expire.job_id;
    if deadline is null or deadline > at then
        return false;
    end if;
    select w.attempts, w.suspect, w.due into held from lavoro.withdraw(expire.job_id) w;
    if held.attempts is null then
        return false;
    elsif held.attempts > 0 then
        perform lavoro.put_back(array[job_id], array[held.attempts], array[held.suspect], array[held.due]);
        return false;
    end if;
    insert into lavoro.outcome (job_id, finished_at, attempt, state)
    values (expire.job_id, clock_timestamp(), 0, 2);
    insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
    values (expire.job_id, gen_random_uuid(), clock_timestamp(), 0, false, 'expired',
            'no attempt had begun when the job expired');
    delete from lavoro.unique_key u where u.job_id = expire.job_id;
    return true;
end
$$;

-- Enqueues the follow-up of a job that was discarded, if it has one. Answers its id.
create function lavoro.follow_up(discarded bigint, attempt integer, error text)
returns bigint
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    with fallen as (
        select j.queue, j.on_discarded as task, j.priority, j.metadata, j.tags,
               jsonb_build_object('job_id', j.id::text, 'task', j.task, 'queue', j.queue,
                                  'attempt', attempt, 'error', error, 'payload', j.payload) as payload
        from lavoro.job j
        where j.id = discarded and j.on_discarded is not null
    ), job as (
        insert into lavoro.job (priority, max_attempts, queue, task, tags, metadata, payload)
        select priority, 20, queue, task, tags, metadata, payload from fallen
        returning id, priority, queue, task, octet_length(payload::text) as bytes
    )
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select id, priority, bytes, 0, false, queue, task, array[id] from job
    returning id
$$;

-- Whether a worker that lives handles this task in this queue. A worker's queue that ends in *
-- stands for all that begin alike.
create function lavoro.has_worker(queue text, task text)
returns boolean
language sql stable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    select exists (
        select
        from lavoro.worker w
        where w.ended_at is null
          and w.beat_at > clock_timestamp() - w.lease_ms * interval '1 millisecond'
          and has_worker.task = any (w.tasks)
          and exists (
              select
              from jsonb_object_keys(w.queues) as k (name)
              where k.name = has_worker.queue
                 or (right(k.name, 1) = '*' and starts_with(has_worker.queue, left(k.name, -1)))))
$$;
