-- Forgets the settings of queue $1, which has been renamed.
delete from lavoro.queue where name = $1
