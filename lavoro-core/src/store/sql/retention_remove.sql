-- Removes the rule of retention of task $1 (empty: that of every task), if there is one.
delete from lavoro.retention r where r.task = $1 returning r.task
