-- How old the oldest transaction and multixact numbers of each database are. One database that
-- reaches the end stops the whole server's writes.
select d.datname::text as database, age(d.datfrozenxid)::bigint as transactions,
       mxid_age(d.datminmxid)::bigint as multixacts
from pg_database d
