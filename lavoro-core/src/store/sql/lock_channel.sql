-- The channel of hints to those who wait for locks and hold them.
select lavoro.lock_channel() as channel
