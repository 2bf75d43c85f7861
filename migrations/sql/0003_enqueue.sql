-- Enqueueing from any driver, inside the caller's transaction.

-- Raises unless value is a backoff: {"kind": "exponential" | "linear" | "fixed", "base_ms": n, "max_ms": n, "jitter": 0..1}.
create function lavoro.check_backoff(value jsonb)
returns void
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    if jsonb_typeof(value) is distinct from 'object'
       or value ->> 'kind' is null
       or value ->> 'kind' not in ('exponential', 'linear', 'fixed')
       or jsonb_typeof(value -> 'base_ms') is distinct from 'number'
       or jsonb_typeof(value -> 'max_ms') is distinct from 'number'
       or value ->> 'base_ms' !~ '^[0-9]+$' or value ->> 'max_ms' !~ '^[0-9]+$'
       or jsonb_typeof(value -> 'jitter') is distinct from 'number'
       or not jsonb_path_exists(value, '$ ? (@.base_ms <= @.max_ms
            && @.max_ms <= 315360000000 && @.jitter >= 0 && @.jitter <= 1)')
    then
        raise exception 'backoff is not understood: it takes kind (exponential, linear or fixed), whole base_ms <= max_ms <= 315360000000, and jitter from 0 to 1'
            using errcode = 'LV008';
    end if;
end
$$;

-- Takes a unique key for a job. Answers the job that holds it then, and whether it was taken just
-- now. Waits for a transaction that holds the key and has not ended, but not for ever: LV011.
create function lavoro.take_key(
    wanted     bigint,
    queue      text,
    task       text,
    key        text,
    out holder bigint,
    out taken  boolean
)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
#variable_conflict use_variable
begin
    -- The holder may end between a refused insert and the look at it: then look again, until one
    -- side of the race is decided.
    loop
        insert into lavoro.unique_key as u (queue, task, key, job_id)
        values (queue, task, key, wanted)
        on conflict do nothing;
        taken := found;
        if taken then
            holder := wanted;
            return;
        end if;
        select u.job_id into holder from lavoro.unique_key u
        where u.queue = take_key.queue and u.task = take_key.task and u.key = take_key.key;
        if found then
            return;
        end if;
    end loop;
exception when lock_not_available then
    raise exception 'another transaction holds unique_key % of task % and has not ended', key, task
        using errcode = 'LV011', hint = 'Try again when it has.';
end
$$;

-- Enqueues a job under a number that the caller has taken from the sequence. With a unique_key
-- that a job of this queue and task already holds, returns that job's number and created = false,
-- unless that is the very number: then this was sent before, and only its reply was lost.
create function lavoro.enqueue_as(
    wanted       bigint,
    task         text,
    payload      jsonb,
    queue        text,
    priority     integer,
    run_at       timestamptz,
    delay        interval,
    max_attempts integer,
    unique_key   text,
    timeout      interval,
    backoff      jsonb,
    tags         text[],
    metadata     jsonb,
    expires_at   timestamptz,
    on_discarded text
) returns table (id bigint, created boolean)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
set lock_timeout = '5s'
as $$
#variable_conflict use_variable
declare
    due constant timestamptz := lavoro.due_at(run_at, delay);
    bytes integer;
    timeout_ms bigint;
    tag text;
    taken boolean;
begin
    perform lavoro.check_name('task', task, 255, 'LV001');
    perform lavoro.check_name('queue', queue, 255, 'LV002');
    bytes := lavoro.check_json('payload', payload, 1048576);
    perform lavoro.check_range('max_attempts', max_attempts, 1, 1000);
    if priority is null then
        raise exception 'priority is null: it takes a whole number' using errcode = 'LV008';
    end if;
    if timeout is not null then
        timeout_ms := ceil(extract(epoch from timeout) * 1000);
        perform lavoro.check_range('timeout (milliseconds)', timeout_ms, 1, 1209600000);
    end if;
    if metadata is not null then
        if jsonb_typeof(metadata) <> 'object' then
            raise exception 'metadata is no JSON object' using errcode = 'LV008';
        end if;
        perform lavoro.check_json('metadata', metadata, 65536);
    end if;
    if backoff is not null then
        perform lavoro.check_backoff(backoff);
    end if;
    if tags is not null then
        perform lavoro.check_range('number of tags', cardinality(tags), 0, 32);
        foreach tag in array tags loop
            perform lavoro.check_name('tag', tag, 255, 'LV008');
        end loop;
    end if;

    perform lavoro.check_instant('expires_at', expires_at);
    if on_discarded is not null then
        perform lavoro.check_name('on_discarded', on_discarded, 255, 'LV001');
    end if;

    id := wanted;
    created := true;
    if unique_key is not null then
        perform lavoro.check_name('unique_key', unique_key, 512, 'LV010');
        select k.holder, k.taken into id, taken
        from lavoro.take_key(wanted, queue, task, unique_key) k;
        if not taken then
            created := id = wanted;
            return next;
            return;
        end if;
    end if;

    insert into lavoro.job (id, run_at, expires_at, priority, timeout_ms, max_attempts, queue, task,
                            unique_key, on_discarded, tags, backoff, metadata, payload)
    values (id, due, expires_at, priority, timeout_ms, coalesce(max_attempts, 20), queue, task,
            unique_key, on_discarded, tags, backoff, metadata, payload);
    if expires_at is not null then
        insert into lavoro.expiry (job_id, expires_at) values (id, expires_at);
    end if;
    if due > clock_timestamp() then
        insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
        values (id, due, priority, bytes, 0, false, queue, task, array[id]);
    else
        insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
        values (id, priority, bytes, 0, false, queue, task, array[id]);
    end if;
    return next;
end
$$;

-- Enqueues a job. With a unique_key that a job of this queue and task already holds, returns
-- that job's id and created = false.
create function lavoro.enqueue_unique(
    task         text,
    payload      jsonb default '{}',
    queue        text default 'default',
    priority     integer default 0,
    run_at       timestamptz default null,
    delay        interval default null,
    max_attempts integer default null,
    unique_key   text default null,
    timeout      interval default null,
    backoff      jsonb default null,
    tags         text[] default null,
    metadata     jsonb default null,
    expires_at   timestamptz default null,
    on_discarded text default null
) returns table (id bigint, created boolean)
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    select e.id, e.created
    from lavoro.enqueue_as(nextval('lavoro.job_id_seq'), task, payload, queue, priority, run_at, delay,
                           max_attempts, unique_key, timeout, backoff, tags, metadata, expires_at,
                           on_discarded) e
$$;

-- As enqueue_unique, returning only the id.
create function lavoro.enqueue(
    task         text,
    payload      jsonb default '{}',
    queue        text default 'default',
    priority     integer default 0,
    run_at       timestamptz default null,
    delay        interval default null,
    max_attempts integer default null,
    unique_key   text default null,
    timeout      interval default null,
    backoff      jsonb default null,
    tags         text[] default null,
    metadata     jsonb default null,
    expires_at   timestamptz default null,
    on_discarded text default null
) returns bigint
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    select e.id from lavoro.enqueue_unique(task, payload, queue, priority, run_at, delay, max_attempts,
                                           unique_key, timeout, backoff, tags, metadata,
                                           expires_at, on_discarded) e
$$;
