-- Notes the blocks of 4096 ids that hold ended jobs and are not in kept, and makes every block
-- due that was looked at under other rules of retention. Answers the print of the rules.
--
-- One look into the index for each block: its neighbours are skipped. Even so, one process of
-- the fleet does it in $1 milliseconds: whoever first finds the row -1 due.
with recursive rules as materialized (
    select coalesce(hashtextextended(string_agg(concat_ws(' ', quote_literal(r.task),
        coalesce(extract(epoch from r.completed)::text, '-'),
        coalesce(extract(epoch from r.cancelled)::text, '-'),
        coalesce(extract(epoch from r.discarded)::text, '-')), ',' order by r.task), 0), 0) as print
    from lavoro.retention r
), turn as (
    insert into lavoro.kept as k (block, due_at, print)
    values (-1, statement_timestamp() + $1::bigint * interval '1 millisecond', 0)
    on conflict (block) do update set due_at = excluded.due_at
    where k.due_at <= statement_timestamp() or k.due_at > excluded.due_at -- the clock was put back
    returning k.block
), block (number) as (
    (select o.job_id >> 12 from lavoro.outcome o
     where exists (select from turn)
     order by o.job_id limit 1)
    union all
    select (select o.job_id >> 12 from lavoro.outcome o
            where o.job_id >= (b.number + 1) << 12
            order by o.job_id limit 1)
    from block b
    where b.number is not null
), noted as (
    insert into lavoro.kept (block, due_at, print)
    select b.number, '-infinity', r.print
    from block b
    cross join rules r
    where b.number is not null and not exists (select from lavoro.kept k where k.block = b.number)
    on conflict do nothing
), again as (
    update lavoro.kept k
    set due_at = '-infinity', print = (select print from rules)
    where k.block = any (array(
        select s.block
        from lavoro.kept s
        where s.block >= 0 and s.print <> (select print from rules)
        for update skip locked))
)
select print from rules
