-- Transactions that hold locks on Lavoro's tables and do nothing: sessions idle in a transaction,
-- and prepared transactions. $1: the schema.
select h.name, h.seconds, h.tables
from (
    select format('pid %s (%s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), '?')) as name,
           extract(epoch from clock_timestamp() - min(a.state_change))::bigint as seconds,
           string_agg(distinct c.relname::text, ', ' order by c.relname::text) as tables
    from pg_locks l
    join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace
    join pg_stat_activity a on a.pid = l.pid
    where n.nspname = $1 and c.relkind in ('r', 'p') and a.datname = current_database()
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
      and a.state like 'idle in transaction%'
    group by a.pid, a.usename, a.application_name
    union all
    select format('prepared transaction %L of %s', p.gid, p.owner),
           extract(epoch from clock_timestamp() - min(p.prepared))::bigint,
           string_agg(distinct c.relname::text, ', ' order by c.relname::text)
    from pg_prepared_xacts p
    join pg_locks t on t.transactionid = p.transaction and t.pid is null and t.mode = 'ExclusiveLock'
    join pg_locks l on l.virtualtransaction = t.virtualtransaction and l.pid is null
    join pg_class c on c.oid = l.relation
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relkind in ('r', 'p') and p.database = current_database()
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
    group by p.gid, p.owner
) h
order by h.seconds desc
limit 20
