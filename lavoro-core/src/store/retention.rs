//! How long ended jobs are kept, and deleting those that have been.

use super::Store;
use crate::error::Result;
use crate::retention::Retention;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::time::Duration;

/// What one step of pruning did.
#[derive(Debug)]
pub(crate) struct Pruned {
    /// How many jobs were deleted.
    pub(crate) deleted: i64,
}

impl Store {
    /// The rules: first that of every task, then those of single tasks by name.
    pub(crate) async fn retention(&self) -> Result<Vec<Retention>> {
        let query = bind_spans(self.query(&self.sql.retention_list), &Retention::BUILT_IN);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(rule).collect())
    }

    /// Sets those times of a rule that are given.
    pub(crate) async fn set_retention(&self, rule: &Retention) -> Result<()> {
        let task = rule.task.clone().unwrap_or_default();
        let query = bind_spans(self.query(&self.sql.retention_set), rule).bind(task);
        self.execute(query).await
    }

    /// Removes a rule; an empty task stands for every task. Answers whether there was one.
    pub(crate) async fn remove_retention(&self, task: String) -> Result<bool> {
        let query = self.query(&self.sql.retention_remove).bind(task);
        Ok(!self.fetch_all(query).await?.is_empty())
    }

    /// Notes which blocks hold ended jobs, and makes all due again after a change of the rules.
    /// Answers the print of the rules. Of all who ask, one in `pause` looks for blocks.
    pub(crate) async fn note_kept(&self, pause: Duration) -> Result<i64> {
        let row = self.fetch_one(self.query(&self.sql.kept_note).bind(whole(pause))).await?;
        Ok(row.get("print"))
    }

    /// Deletes up to `limit` jobs that have been kept long enough from the block that has been
    /// due longest. `None`: none is due, or another pruner is at it. `print` is that of the
    /// rules, `pause` the time until the next round; `now` stands in for the server's clock in
    /// tests.
    pub(crate) async fn prune(
        &self,
        limit: i64,
        print: i64,
        pause: Duration,
        now: Option<DateTime<Utc>>,
    ) -> Result<Option<Pruned>> {
        let query = bind_spans(self.query(&self.sql.prune), &Retention::BUILT_IN)
            .bind(limit)
            .bind(whole(pause))
            .bind(print)
            .bind(now);
        let rows = self.fetch_all(query).await?;
        Ok(rows.first().map(|row| Pruned { deleted: row.get("deleted") }))
    }
}

/// Binds the three times of a rule in milliseconds, as $1 to $3.
fn bind_spans(query: super::Query, rule: &Retention) -> super::Query {
    rule.spans().into_iter().fold(query, |query, (_, span)| query.bind(span.map(whole)))
}

fn whole(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn rule(row: &PgRow) -> Retention {
    let span = |column: &str| {
        row.get::<Option<i64>, _>(column).map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()))
    };
    Retention {
        task: Some(row.get::<String, _>("task")).filter(|task| !task.is_empty()),
        completed: span("completed_ms"),
        cancelled: span("cancelled_ms"),
        discarded: span("discarded_ms"),
    }
}
