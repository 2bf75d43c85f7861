-- Who keeps vacuum from removing dead rows of this database: the oldest snapshots, with how many
-- transactions and, where that is known, how many seconds ago they began.
select h.kind, h.name, h.transactions, h.seconds
from (
    select 'session' as kind,
           format('pid %s (%s, %s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), '?'),
                  coalesce(a.state, a.backend_type)) as name,
           greatest(age(a.backend_xmin), age(a.backend_xid))::bigint as transactions,
           extract(epoch from clock_timestamp() - a.xact_start)::bigint as seconds
    from pg_stat_activity a
    where a.pid <> pg_backend_pid()
      and a.datname = current_database()
      and a.backend_type in ('client backend', 'background worker', 'parallel worker')
      and (a.backend_xmin is not null or a.backend_xid is not null)
    union all
    select 'standby', format('%s (hot_standby_feedback)', r.application_name),
           age(r.backend_xmin)::bigint, null
    from pg_stat_replication r
    where r.backend_xmin is not null
    union all
    select 'slot', format('%s (%s)', s.slot_name, case when s.active then 'active' else 'unused' end),
           greatest(age(s.xmin), age(s.catalog_xmin))::bigint, null
    from pg_replication_slots s
    where s.xmin is not null or s.catalog_xmin is not null
    union all
    select 'prepared', format('%L of %s', p.gid, p.owner), age(p.transaction)::bigint,
           extract(epoch from clock_timestamp() - p.prepared)::bigint
    from pg_prepared_xacts p
    where p.database = current_database()
) h
order by h.seconds desc nulls last, h.transactions desc
limit 20
