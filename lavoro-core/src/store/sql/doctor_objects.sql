-- What the schema holds: tables, views, indexes with whether they can be used, functions.
-- $1: the schema.
select 'relation' as kind, c.relname::text as name, coalesce(i.indisvalid and i.indisready, true) as usable
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = c.oid
where n.nspname = $1
union all
select 'function', p.proname::text, true
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1
