-- The locks that are held, by name.
select l.name, l.owner, l.host, l.pid, l.fence, l.acquired_at, l.expires_at, l.lifetime_ms, l.waiting
from lavoro.locks l
order by l.name
