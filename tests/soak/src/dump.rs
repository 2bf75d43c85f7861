//! The tables at last, written beside the ledgers.

use crate::Result;
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgPool;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

const JOBS: &str = "
    select j.id, j.task, coalesce(case when j.task <> 'follow' then j.payload ->> 'mark' end, '-'),
           case o.state when 1 then 'completed' when 2 then 'cancelled' when 3 then 'discarded'
                else 'open' end,
           coalesce(j.unique_key, '-'),
           (extract(epoch from j.created_at) * 1e6)::bigint,
           (extract(epoch from o.finished_at) * 1e6)::bigint
    from lavoro.job j
    left join lavoro.outcome o on o.job_id = j.id";

/// Writes `jobs`, `effects`, `follows` and `unsound`.
pub(crate) async fn dump(pool: &PgPool, dir: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(dir.join("jobs"))?);
    let mut rows = sqlx::query(JOBS).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let finished = row.get::<Option<i64>, _>(6).map_or("-".to_owned(), |at| at.to_string());
        let (task, mark): (&str, &str) = (row.get(1), row.get(2));
        let (state, key): (&str, &str) = (row.get(3), row.get(4));
        let (id, created): (i64, i64) = (row.get(0), row.get(5));
        writeln!(file, "{id} {task} {mark} {state} {key} {created} {finished}")?;
    }
    file.flush()?;
    drop(rows);

    let mut file = BufWriter::new(File::create(dir.join("effects"))?);
    for row in sqlx::query("select job_id, token from public.effect").fetch_all(pool).await? {
        writeln!(file, "{} {}", row.get::<i64, _>(0), row.get::<uuid::Uuid, _>(1))?;
    }
    file.flush()?;

    let mut file = BufWriter::new(File::create(dir.join("follows"))?);
    let follows = "select id, (payload ->> 'job_id')::bigint from lavoro.job where task = 'follow'";
    for row in sqlx::query(follows).fetch_all(pool).await? {
        writeln!(file, "{} {}", row.get::<i64, _>(0), row.get::<i64, _>(1))?;
    }
    file.flush()?;

    let mut file = File::create(dir.join("unsound"))?;
    for line in lavoro_tests::contradictions(pool).await? {
        writeln!(file, "{line}")?;
    }
    Ok(())
}
