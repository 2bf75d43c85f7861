-- Where commits are set not to wait for the disk: this session with the source of its setting,
-- and what is set for this database or for roles that may connect to it.
select format('%s (%s)', s.setting, s.source) as setting, 'this session' as place
from pg_settings s
where s.name = 'synchronous_commit' and s.setting = 'off'
union all
select c.value,
       case
           when r.setrole = 0 then format('database %s', current_database())
           when r.setdatabase = 0 then format('role %s', r.setrole::regrole)
           else format('role %s in database %s', r.setrole::regrole, current_database())
       end
from pg_db_role_setting r
cross join lateral unnest(r.setconfig) as c (value)
where lower(c.value) in ('synchronous_commit=off', 'synchronous_commit=false', 'synchronous_commit=no',
                         'synchronous_commit=0')
  and (r.setdatabase = 0 or r.setdatabase = (select d.oid from pg_database d
                                             where d.datname = current_database()))
