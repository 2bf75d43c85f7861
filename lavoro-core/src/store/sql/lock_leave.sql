-- Takes waiter $2 out of the line before lock $1, and lets go of what its token $3 may have got.
with gone as (
    delete from lavoro.lock_waiter w where w.id = $2::uuid returning w.id
)
select lavoro.lock_release($1::text, $3::uuid) as released,
       (select lavoro.lock_wake($1::text)::text from gone) as woken
