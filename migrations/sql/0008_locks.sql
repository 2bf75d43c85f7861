-- Named locks with a lifetime and a fencing number. docs/adr/0010-locks.md has the reasons.

-- Numbers that rise for each name, since they rise for all: so a row may go when its lock is free.
create sequence lavoro.lock_fence;

-- Places in the lines before locks.
create sequence lavoro.lock_ticket;

-- One row per name that is locked, or was a while ago. A grant locks it FOR UPDATE.
create table lavoro.lock (
    name        text collate "C" primary key,
    acquired_at timestamptz not null default clock_timestamp(),
    expires_at  timestamptz not null default '-infinity',
    fence       bigint,                  -- of the last grant
    token       uuid,                    -- who presents it, holds the lock; null: released
    lifetime_ms integer,
    pid         integer,
    owner       text,
    host        text
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

create index lock_acquired_at on lavoro.lock (acquired_at);

-- Who waits for a lock. Lost by a crash of the server: they come back by themselves.
create unlogged table lavoro.lock_waiter (
    id         uuid primary key,
    ticket     bigint not null,
    expires_at timestamptz not null,     -- who does not look again until then has gone
    listens    boolean not null,         -- hears hints
    name       text collate "C" not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);

create index lock_waiter_line on lavoro.lock_waiter (name, ticket);

-- The channel of hints to waiters (their id) and holders (`lost` and their fence).
create function lavoro.lock_channel()
returns text
language sql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$ select 'lavoro_lock_' || md5('lavoro.lock') $$;

-- Wakes the first in the line before a lock, if it can be woken.
create function lavoro.lock_wake(name text)
returns void
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    select pg_notify(lavoro.lock_channel(), w.id::text)
    from (select q.id, q.listens
          from lavoro.lock_waiter q
          where q.name = lock_wake.name and q.expires_at > clock_timestamp()
          order by q.ticket
          limit 1) w
    where w.listens
$$;

-- Makes this transaction's commit wait for the disk: a crash must not undo what a holder was told,
-- nor give a fence out twice.
create function lavoro.lock_durably()
returns void
language sql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
    select set_config('synchronous_commit', 'on', true)
    where current_setting('synchronous_commit') = 'off'
$$;

-- Takes a lock that is free, or one that this token holds already (its reply was lost), and answers
-- the fence. Else null, and in how many milliseconds to look again; a waiter is then in the line,
-- in which those who came earlier are served first.
create function lavoro.lock_take(
    name text, token uuid, owner text, lifetime_ms integer, host text, pid integer, waiter uuid,
    listens boolean, out fence bigint, out retry_ms integer
)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
set lock_timeout = '1s'
as $$
declare
    place bigint;
    ahead boolean;
    holder uuid;
    until timestamptz;
begin
    perform lavoro.lock_durably();
    update lavoro.lock l
    set expires_at = greatest(l.expires_at, clock_timestamp() + lock_take.lifetime_ms * interval '1 ms')
    where l.name = lock_take.name and l.token = lock_take.token and l.expires_at > clock_timestamp()
    returning l.fence into fence;
    if found then
        delete from lavoro.lock_waiter w where w.id = lock_take.waiter;
        return;
    end if;
    if waiter is not null then
        update lavoro.lock_waiter w
        set expires_at = clock_timestamp() + interval '3 s', listens = lock_take.listens
        where w.id = lock_take.waiter
        returning w.ticket into place;
    end if;
    ahead := exists (
        select
        from lavoro.lock_waiter w
        where w.name = lock_take.name and (place is null or w.ticket < place)
          and w.expires_at > clock_timestamp());
    retry_ms := case when listens then 1000 else 250 end;
    if not ahead then
        select l.token, l.expires_at into holder, until from lavoro.lock l where l.name = lock_take.name;
        if holder is null or until <= clock_timestamp() then
            begin
                if not found then
                    insert into lavoro.lock (name) values (lock_take.name) on conflict do nothing;
                end if;
                select l.token, l.expires_at into holder, until
                from lavoro.lock l
                where l.name = lock_take.name
                for update;
                if not found then
                    retry_ms := 10; -- swept this very moment
                elsif holder is null or until <= clock_timestamp() then
                    -- Only now: nobody else can be given this name a larger number meanwhile.
                    fence := nextval('lavoro.lock_fence');
                    update lavoro.lock l
                    set acquired_at = clock_timestamp(), fence = lock_take.fence, token = lock_take.token,
                        expires_at = clock_timestamp() + lock_take.lifetime_ms * interval '1 ms',
                        lifetime_ms = lock_take.lifetime_ms, pid = lock_take.pid,
                        owner = lock_take.owner, host = lock_take.host
                    where l.name = lock_take.name;
                end if;
            exception when lock_not_available then
                -- Someone is taking it, or works under lavoro.lock_check.
                retry_ms := 50;
                holder := null;
            end;
            if fence is not null then
                retry_ms := null;
                delete from lavoro.lock_waiter w where w.id = lock_take.waiter;
                -- One that comes back this moment waits for the row that we have locked.
                delete from lavoro.lock_waiter w
                using (select q.id from lavoro.lock_waiter q
                       where q.name = lock_take.name and q.expires_at <= clock_timestamp()
                       for update skip locked) as gone
                where w.id = gone.id;
                return;
            end if;
        end if;
        if holder is not null then
            retry_ms := least(case when listens then 500 else 50 end,
                              1 + ceil(extract(epoch from until - clock_timestamp()) * 1000));
            retry_ms := greatest(retry_ms, 1);
        end if;
    end if;
    if waiter is not null and place is null then
        insert into lavoro.lock_waiter (id, ticket, expires_at, listens, name)
        values (waiter, nextval('lavoro.lock_ticket'), clock_timestamp() + interval '3 s', listens, name)
        on conflict do nothing;
        -- Look once more: who released before this is committed has not seen it.
        retry_ms := 0;
    end if;
end
$$;

-- Takes a lock, if it is free and nobody waits for it: one row with the token, which extends and
-- releases it, the fence, and when it expires; else none.
create function lavoro.lock_acquire(
    name text, owner text default null, lifetime interval default interval '15 seconds'
) returns table (token uuid, fence bigint, expires_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    fresh constant uuid := gen_random_uuid();
    number bigint;
begin
    perform lavoro.check_name('lock', name, 255, 'LV008');
    if owner is not null then
        perform lavoro.check_name('owner', owner, 255, 'LV008');
    end if;
    select t.fence into number
    from lavoro.lock_take(name, fresh, coalesce(owner, session_user::text || ':' || pg_backend_pid()),
                          lavoro.lock_millis(lifetime), null, null, null, false) t;
    if number is not null then
        return query
        select l.token, l.fence, l.expires_at from lavoro.lock l where l.name = lock_acquire.name;
    end if;
end
$$;

-- A lifetime in milliseconds. Raises LV008 unless it lies between 1 second and 1 day.
create function lavoro.lock_millis(lifetime interval)
returns integer
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    millis constant numeric := extract(epoch from lifetime) * 1000;
begin
    if millis is null or millis < 1000 or millis > 86400000 then
        raise exception 'lifetime is %: it takes 1 second to 1 day', coalesce(lifetime::text, 'null')
            using errcode = 'LV008';
    end if;
    return millis;
end
$$;

-- Lets a lock live at least this long from now on, and answers until when. Raises LV032 if it is
-- not held by this token any more.
create function lavoro.lock_extend(name text, token uuid, lifetime interval default interval '15 seconds')
returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    millis constant integer := lavoro.lock_millis(lifetime);
    until timestamptz;
begin
    perform lavoro.lock_durably();
    perform 1 from lavoro.lock l where l.name = lock_extend.name for no key update;
    update lavoro.lock l
    set expires_at = greatest(l.expires_at, clock_timestamp() + millis * interval '1 ms')
    where l.name = lock_extend.name and l.token = lock_extend.token and l.expires_at > clock_timestamp()
    returning l.expires_at into until;
    if not found then
        raise exception 'the lock % is not held by this token any more', name using errcode = 'LV032',
            hint = 'It has expired, or was released.';
    end if;
    return until;
end
$$;

-- Releases a lock, if this token holds it, and wakes the first who waits. Answers whether it was
-- still held: false also if it had expired.
create function lavoro.lock_release(name text, token uuid)
returns boolean
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    until timestamptz;
begin
    select l.expires_at into until
    from lavoro.lock l
    where l.name = lock_release.name and l.token = lock_release.token
    for no key update;
    if not found then
        return false;
    end if;
    update lavoro.lock l set token = null, expires_at = clock_timestamp() where l.name = lock_release.name;
    perform lavoro.lock_wake(name);
    return until > clock_timestamp();
end
$$;

-- Releases a lock whoever holds it, and tells the holder. Answers its owner; null if it was free.
create function lavoro.lock_force_release(name text)
returns text
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    held record;
begin
    select l.owner, l.fence into held
    from lavoro.lock l
    where l.name = lock_force_release.name and l.token is not null and l.expires_at > clock_timestamp()
    for no key update;
    if not found then
        return null;
    end if;
    update lavoro.lock l set token = null, expires_at = clock_timestamp()
    where l.name = lock_force_release.name;
    perform pg_notify(lavoro.lock_channel(), 'lost ' || held.fence);
    perform lavoro.lock_wake(name);
    return held.owner;
end
$$;

-- Raises LV032 unless the lock is held with this fence. Nobody else is given the lock until the
-- transaction ends, so what it does is done under the lock.
create function lavoro.lock_check(name text, fence bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    -- Conflicts with a grant, and not with extending.
    perform 1
    from lavoro.lock l
    where l.name = lock_check.name and l.fence = lock_check.fence and l.token is not null
      and l.expires_at > clock_timestamp()
    for key share;
    if not found then
        raise exception 'the lock % is not held with the fence % any more', name, fence
            using errcode = 'LV032', hint = 'Roll back.';
    end if;
end
$$;

-- The locks that are held.
create view lavoro.locks as
select l.name, l.owner, l.host, l.pid, l.fence, l.acquired_at, l.expires_at, l.lifetime_ms,
       (select count(*) from lavoro.lock_waiter w
        where w.name = l.name and w.expires_at > clock_timestamp()) as waiting
from lavoro.lock l
where l.token is not null and l.expires_at > clock_timestamp();
