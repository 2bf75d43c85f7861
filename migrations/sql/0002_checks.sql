-- The limits of lavoro-core's limits.rs, for those who enqueue by SQL.

-- Raises unless value is a name: 1 to max_bytes bytes without control characters.
create function lavoro.check_name(field text, value text, max_bytes integer, code text)
returns void
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    if value is null or value = '' then
        raise exception '% is empty: it takes 1 to % bytes', field, max_bytes using errcode = code;
    elsif octet_length(value) > max_bytes then
        raise exception '% has % bytes: the limit is %', field, octet_length(value), max_bytes
            using errcode = code;
    elsif value ~ '[\u0001-\u001f\u007f-\u009f]' then
        raise exception '% holds a control character', field using errcode = code;
    end if;
end
$$;

-- Raises unless value is JSON that every language reads alike. Returns its size in bytes.
create function lavoro.check_json(field text, value jsonb, max_bytes integer)
returns integer
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
declare
    literal constant text := value::text;
    bytes constant integer := octet_length(literal);
begin
    if value is null then
        raise exception '% is null: pass JSON, for instance ''{}''', field using errcode = 'LV003';
    elsif bytes > max_bytes then
        raise exception '% has % bytes: the limit is %', field, bytes, max_bytes
            using errcode = 'LV004', hint = 'Store large data elsewhere and enqueue a reference.';
    end if;
    -- The cheap test on the text spares the walk: deep values have many brackets.
    if length(literal) - length(translate(literal, '[{', '')) > 128
       and jsonb_path_exists(value, 'strict $.**{128} ? (@.type() == "array" || @.type() == "object")')
    then
        raise exception '% is nested deeper than 128 levels', field using errcode = 'LV005';
    end if;
    if literal ~ '[0-9]{16}' and jsonb_path_exists(value,
        'strict $.** ? (@.type() == "number" && (@ > 9007199254740991 || @ < -9007199254740991
            || (@ != 0 && @ < 2.5e-324 && @ > -2.5e-324)))')
    then
        raise exception '% holds a number beyond ±9007199254740991 (2^53 - 1) or beyond a double', field
            using errcode = 'LV006', hint = 'Send it as a string.';
    end if;
    return bytes;
end
$$;

-- Raises unless value lies between low and high; null passes.
create function lavoro.check_range(field text, value bigint, low bigint, high bigint)
returns void
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    if value < low or value > high then
        raise exception '% is %: it takes % to %', field, value, low, high using errcode = 'LV008';
    end if;
end
$$;

-- Raises unless value lies in the years 1970 to 9999; null passes.
create function lavoro.check_instant(field text, value timestamptz)
returns void
language plpgsql immutable
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    if value < timestamptz '1970-01-01 00:00:00+00' or value >= timestamptz '10000-01-01 00:00:00+00' then
        raise exception '% lies outside the years 1970 to 9999', field using errcode = 'LV007';
    end if;
end
$$;

-- When a job with these options is due; null: at once.
create function lavoro.due_at(run_at timestamptz, delay interval)
returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, /*schema*/lavoro, pg_temp
as $$
begin
    if run_at is not null and delay is not null then
        raise exception 'run_at and delay are both given: pass one of them' using errcode = 'LV007';
    elsif delay is not null then
        if delay < interval '0' then
            raise exception 'delay is negative' using errcode = 'LV007';
        elsif delay > interval '3650 days' then
            raise exception 'delay is longer than 3650 days' using errcode = 'LV007';
        end if;
        return case when delay > interval '0' then clock_timestamp() + delay end;
    end if;
    perform lavoro.check_instant('run_at', run_at);
    return run_at;
end
$$;
