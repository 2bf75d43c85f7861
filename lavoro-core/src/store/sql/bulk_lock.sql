-- Locks the rows of jobs $1, in one order, but for those that others hold.
select h.id
from (select u.id from unnest($1::bigint[]) as u (id) order by u.id) i
cross join lateral (
    select j.id from lavoro.job j where j.id = i.id for no key update skip locked
) h
where set_config('lock_timeout', '2s', true) is not null
