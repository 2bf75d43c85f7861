-- The standbys that follow this server, and how many of them a commit waits for.
select count(*) as following,
       count(*) filter (where s.sync_state in ('sync', 'quorum')) as synchronous,
       coalesce(string_agg(s.application_name, ', ' order by s.application_name), '') as names
from pg_stat_replication s
where s.state is distinct from 'backup'
