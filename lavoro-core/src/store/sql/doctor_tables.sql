-- Lavoro's tables as vacuum sees them. $1: the schema.
select c.relname::text as name,
       coalesce(s.n_live_tup, 0) as live,
       coalesce(s.n_dead_tup, 0) as dead,
       greatest(s.last_autovacuum, s.last_vacuum) as vacuumed_at,
       pg_total_relation_size(c.oid) as bytes,
       coalesce('autovacuum_enabled=false' = any (c.reloptions)
                or 'autovacuum_enabled=off' = any (c.reloptions), false) as autovacuum_off
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_stat_all_tables s on s.relid = c.oid
where n.nspname = $1 and c.relkind in ('r', 'p')
order by c.relname
