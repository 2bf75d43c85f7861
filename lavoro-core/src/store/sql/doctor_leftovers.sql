-- What maintenance should have dealt with: jobs whose time has come and which still wait for
-- it, with the seconds they are late, and producers that were not seen for two days.
select (select coalesce(sum(cardinality(s.jobs)), 0)
        from lavoro.scheduled s where s.run_at < statement_timestamp())::bigint as due,
       coalesce((select extract(epoch from statement_timestamp() - min(s.run_at))
                 from lavoro.scheduled s where s.run_at < statement_timestamp()), 0)::bigint as late_seconds,
       (select count(*) from lavoro.producer p)::bigint as producers,
       (select count(*) from lavoro.producer p
        where p.seen_at < statement_timestamp() - interval '2 days')::bigint as old_producers
