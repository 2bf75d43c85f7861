-- How many bytes of write-ahead log the server has written since it was made.
select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint as bytes
