-- What this role may not do with each table and sequence of the schema that a worker does with
-- it. $1: the schema.
select c.relname::text as name,
       array(select p.name
             from unnest(case c.relkind when 'S' then array['usage']
                                        when 'v' then array['select']
                                        else array['select', 'insert', 'update', 'delete'] end) as p (name)
             where not case c.relkind when 'S' then has_sequence_privilege(c.oid, p.name)
                                      else has_table_privilege(c.oid, p.name) end) as lacks
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'S') and c.relname <> 'migration'
order by c.relname
