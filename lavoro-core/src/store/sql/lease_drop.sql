-- Drops those of the leases $1 (locked already) all of whose jobs have ended.
delete from lavoro.lease l
where l.token = any ($1::uuid[])
  and not exists (
      select from unnest(l.jobs) as u (job_id)
      where not exists (select from lavoro.outcome o where o.job_id = u.job_id)
  )
