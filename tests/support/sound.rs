//! What must be true of the tables at any moment, whatever happened before.

use crate::Database;
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};

/// Jobs by how many places they are in: every job is in exactly one of outcome, ready,
/// scheduled and (without an outcome) lease.
const MISPLACED: &str = "
    with place as (
        select job_id, 'outcome' as place from lavoro.outcome
        union all select unnest(jobs), 'ready' from lavoro.ready
        union all select unnest(jobs), 'scheduled' from lavoro.scheduled
        union all select u, 'lease' from lavoro.lease, unnest(jobs) as u
                  where u not in (select job_id from lavoro.outcome)
    )
    select j.id, coalesce(string_agg(p.place, ', ' order by p.place), 'nowhere') as places
    from lavoro.job j
    left join place p on p.job_id = j.id
    group by j.id
    having count(p.place) <> 1
    limit 10";

/// Places of jobs that do not exist.
const ORPHANS: &str = "
    select u from (
        select job_id as u from lavoro.outcome
        union all select unnest(jobs) from lavoro.ready
        union all select unnest(jobs) from lavoro.scheduled
        union all select unnest(jobs) from lavoro.lease
    ) place
    where not exists (select from lavoro.job j where j.id = u)
    limit 10";

/// Packs that `withdraw` and the view could not find, or whose lane is not their jobs'.
const BAD_PACKS: &str = "
    select r.id
    from lavoro.ready r, unnest(r.jobs) as u
    join lavoro.job j on j.id = u
    where r.id <> r.jobs[1] or u >> 10 <> r.id >> 10
       or (j.queue, j.task, j.priority) <> (r.queue, r.task, r.priority)
    union all
    select s.id
    from lavoro.scheduled s, unnest(s.jobs) as u
    join lavoro.job j on j.id = u
    where s.id <> s.jobs[1] or u >> 10 <> s.id >> 10
       or (j.queue, j.task, j.priority) <> (s.queue, s.task, s.priority)
    limit 10";

/// Unique keys without a job that has yet to end, and such jobs without their keys.
const BAD_KEYS: &str = "
    select k.job_id
    from lavoro.unique_key k
    where exists (select from lavoro.outcome o where o.job_id = k.job_id)
    union all
    select j.id
    from lavoro.job j
    where j.unique_key is not null
      and not exists (select from lavoro.outcome o where o.job_id = j.id)
      and not exists (select from lavoro.unique_key k where k.job_id = j.id and k.queue = j.queue)
    limit 10";

/// What the tables contradict each other in, a line each, at most ten of each sort: jobs that are
/// not in exactly one place, packs outside their lane, unique keys without their jobs, places of
/// jobs that do not exist.
///
/// # Errors
/// What is wrong with the database.
pub async fn contradictions(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(MISPLACED).fetch_all(pool).await?;
    let places = |row: &PgRow| format!("job {} is {}", row.get::<i64, _>(0), row.get::<&str, _>(1));
    let mut found: Vec<String> = rows.iter().map(places).collect();
    for (what, sql) in
        [("bad pack", BAD_PACKS), ("bad unique key", BAD_KEYS), ("no such job", ORPHANS)]
    {
        let rows = sqlx::query(sql).fetch_all(pool).await?;
        found.extend(rows.iter().map(|row| format!("{what}: {}", row.get::<i64, _>(0))));
    }
    Ok(found)
}

impl Database {
    /// Fails unless every job is in exactly one place, every place has its job, every pack is in
    /// its lane, and every unique key with its job.
    ///
    /// # Panics
    /// If not.
    pub async fn assert_sound(&self) {
        let found = contradictions(&self.pool).await.unwrap();
        assert!(found.is_empty(), "the tables contradict each other: {found:?}");
    }
}
