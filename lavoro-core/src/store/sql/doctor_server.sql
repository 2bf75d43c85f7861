-- What the doctor must know of the server first. $1: the schema.
select current_setting('server_version_num')::integer as version,
       current_setting('server_version') as version_text,
       current_setting('server_encoding') as encoding,
       current_setting('transaction_read_only')::boolean as read_only,
       pg_is_in_recovery() as standby,
       clock_timestamp() as now,
       current_user::text as role,
       current_database()::text as database,
       pg_has_role('pg_read_all_stats', 'usage') as sees_all,
       (select has_schema_privilege(n.oid, 'usage') from pg_namespace n where n.nspname = $1) as usable,
       exists (select
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = 'migration') as migrated
