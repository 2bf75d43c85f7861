-- Extends the locks $1 held with the tokens $2 by at least $3 milliseconds from now on. One whose
-- row someone else has locked (a release that is not committed) is left: it stands, or does not.
with wanted as (
    select u.name, u.token, u.millis from unnest($1::text[], $2::uuid[], $3::bigint[]) as u (name, token, millis)
), mine as (
    select l.name, w.token, w.millis
    from wanted w
    cross join (select lavoro.lock_durably() offset 0) as durably
    join lavoro.lock l on l.name = w.name
    where l.token = w.token and l.expires_at > clock_timestamp()
    order by l.name
    for no key update of l skip locked
), extended as (
    update lavoro.lock l
    set expires_at = greatest(l.expires_at, clock_timestamp() + m.millis * interval '1 millisecond')
    from mine m
    where l.name = m.name and l.token = m.token
    returning l.token
)
select w.token,
       exists (select from extended e where e.token = w.token) as extended,
       exists (select from lavoro.lock l
               where l.name = w.name and l.token = w.token and l.expires_at > clock_timestamp()) as stands
from wanted w
