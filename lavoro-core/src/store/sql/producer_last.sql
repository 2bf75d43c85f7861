-- The last batch that was applied for a producer, and the ids it was given.
select seq, ids from lavoro.producer where id = $1
