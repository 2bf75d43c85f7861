-- Whether the operating system sorts as it did when the database was made: the recorded version
-- of its collation and that of today. Null where there is none, as for C, or none is known.
select to_jsonb(d) ->> 'datcollversion' as recorded,
       (select pg_collation_actual_version(c.oid)
        from pg_collation c
        where c.collprovider = 'c'
          and lower(replace(c.collcollate, '-', '')) = lower(replace(d.datcollate, '-', ''))
        limit 1) as actual,
       d.datcollate::text as collation
from pg_database d
where d.datname = current_database() and coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
