-- Settings that durability, vacuum and connections depend on, as they are in this session.
select current_setting('fsync')::boolean as fsync,
       current_setting('full_page_writes')::boolean as full_page_writes,
       current_setting('synchronous_standby_names') as standby_names,
       current_setting('autovacuum')::boolean as autovacuum,
       current_setting('track_counts')::boolean as track_counts,
       current_setting('max_connections')::integer as max_connections,
       current_setting('superuser_reserved_connections')::integer
           + coalesce(current_setting('reserved_connections', true), '0')::integer as reserved,
       current_setting('autovacuum_freeze_max_age')::bigint as freeze_max_age,
       current_setting('autovacuum_multixact_freeze_max_age')::bigint as multixact_freeze_max_age,
       (select sum(s.numbackends) from pg_stat_database s)::bigint as connections
