-- What a client must know before it starts. $1: the record of migrations, as a qualified name.
select current_setting('server_version_num')::integer as version,
       current_setting('server_encoding') as encoding,
       current_setting('transaction_read_only')::boolean as read_only,
       to_regclass($1) is not null as migrated
