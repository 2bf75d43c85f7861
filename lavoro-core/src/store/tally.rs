//! What workers did: counts by queue and task.

use super::Store;
use crate::error::Result;
use crate::histogram::Histogram;
use crate::statistics::{Depth, Done, Totals};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::time::Duration;

/// What a worker did with jobs of one queue and task in one slice of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct TallyRow {
    pub(crate) worker: i64,
    pub(crate) slice: i64,
    pub(crate) queue: String,
    pub(crate) task: String,
    /// How long ago the slice began, and ended.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// How often the row was counted up so far.
    pub(crate) changes: i64,
    pub(crate) completed: i64,
    pub(crate) retried: i64,
    pub(crate) cancelled: i64,
    pub(crate) discarded: i64,
    pub(crate) waited: Vec<i64>,
    pub(crate) ran: Vec<i64>,
}

impl Store {
    /// Writes rows, over what was written of them before.
    pub(crate) async fn write_tally(&self, rows: &[TallyRow]) -> Result<()> {
        fn column<T>(rows: &[TallyRow], pick: impl Fn(&TallyRow) -> T) -> Vec<T> {
            rows.iter().map(pick).collect()
        }
        let millis = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let query = self
            .query(&self.sql.tally_write)
            .bind(column(rows, |r| r.worker))
            .bind(column(rows, |r| r.slice))
            .bind(column(rows, |r| r.queue.clone()))
            .bind(column(rows, |r| r.task.clone()))
            .bind(column(rows, |r| millis(r.began)))
            .bind(column(rows, |r| millis(r.ended)))
            .bind(column(rows, |r| r.completed))
            .bind(column(rows, |r| r.retried))
            .bind(column(rows, |r| r.cancelled))
            .bind(column(rows, |r| r.discarded))
            .bind(column(rows, |r| array(&r.waited)))
            .bind(column(rows, |r| array(&r.ran)))
            .bind(column(rows, |r| r.changes));
        self.execute(query).await
    }

    /// What workers did within a window that ends now.
    pub(crate) async fn read_tally(&self, window: Duration) -> Result<Vec<Done>> {
        let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let query = self.query(&self.sql.tally_read).bind(window);
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| Done {
                queue: row.get("queue"),
                task: row.get("task"),
                completed: row.get("completed"),
                retried: row.get("retried"),
                cancelled: row.get("cancelled"),
                discarded: row.get("discarded"),
                waited: histogram(row, "waited"),
                ran: histogram(row, "ran"),
            })
            .collect())
    }

    /// What workers did since the schema was made.
    pub(crate) async fn tally_totals(&self) -> Result<Vec<Totals>> {
        let rows = self.fetch_all(self.query(&self.sql.tally_totals)).await?;
        Ok(rows
            .iter()
            .map(|row| Totals {
                queue: row.get("queue"),
                task: row.get("task"),
                outcomes: ["completed", "retried", "cancelled", "discarded"]
                    .map(|name| (name, row.get::<i64, _>(name).unsigned_abs())),
            })
            .collect())
    }

    /// Makes rows of an hour out of what is older than that, and one row of each queue and task
    /// out of what is older than a day.
    pub(crate) async fn fold_tally(&self) -> Result<()> {
        self.execute(self.query(&self.sql.tally_fold)).await
    }

    /// What queues hold, by queue and task.
    pub(crate) async fn depths(&self) -> Result<Vec<Depth>> {
        let rows = self.fetch_all(self.query(&self.sql.depths)).await?;
        Ok(rows
            .iter()
            .map(|row| Depth {
                queue: row.get("queue"),
                task: row.get("task"),
                available: row.get("available"),
                scheduled: row.get("scheduled"),
                retrying: row.get("retrying"),
                running: row.get("running"),
                paused_at: row.get("paused_at"),
                oldest: row.get::<Option<i64>, _>("oldest_ms").map(millis),
                unhandled: row.get::<Option<bool>, _>("unhandled").unwrap_or(false),
            })
            .collect())
    }
}

/// PostgreSQL has no arrays of arrays of different lengths: these are sent as text.
fn array(counts: &[i64]) -> String {
    let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
    format!("{{{}}}", counts.join(","))
}

fn histogram(row: &PgRow, name: &str) -> Histogram {
    Histogram::from_counts(row.get::<Vec<i64>, _>(name).into_iter().map(i64::unsigned_abs))
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}
