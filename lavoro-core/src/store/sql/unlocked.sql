-- Which of the jobs $1 no user's transaction is completing at this moment.
select j.id
from lavoro.job j
where j.id = any ($1::bigint[])
for no key update skip locked
