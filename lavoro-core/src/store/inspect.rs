//! Looking at queues, and the little that is changed from there.

use super::Store;
use crate::error::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;

/// A queue and how many jobs it holds.
#[derive(Clone, Debug, Serialize)]
pub struct QueueInfo {
    /// The queue.
    pub name: String,
    /// Jobs that may run now.
    pub available: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that wait after a failed attempt.
    pub retrying: i64,
    /// Jobs that workers hold.
    pub running: i64,
    /// Since when the queue is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// When its oldest available job was enqueued.
    pub oldest: Option<DateTime<Utc>>,
}

impl Store {
    /// Every queue that holds jobs or settings, by name.
    pub(crate) async fn queues(&self) -> Result<Vec<QueueInfo>> {
        let query = self.query(&self.sql.queue_list);
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| QueueInfo {
                name: row.get("queue"),
                available: row.get("available"),
                scheduled: row.get("scheduled"),
                retrying: row.get("retrying"),
                running: row.get("running"),
                paused_at: row.get("paused_at"),
                oldest: row.get("oldest"),
            })
            .collect())
    }

    /// How many bytes of write-ahead log the server has written so far.
    pub(crate) async fn wal_position(&self) -> Result<i64> {
        let row = self.fetch_one(self.query(&self.sql.wal_position)).await?;
        Ok(row.get("bytes"))
    }

    /// Pauses a queue, or resumes it.
    pub(crate) async fn pause_queue(&self, queue: &str, paused: bool) -> Result<()> {
        let query = self.query(&self.sql.queue_pause).bind(queue.to_owned()).bind(paused);
        self.execute(query).await
    }

    /// Wakes idle workers of these queues.
    pub(crate) async fn hint(&self, queues: Vec<String>) -> Result<()> {
        let query = self.query(&self.sql.hint).bind(self.channel()).bind(queues);
        self.execute(query).await
    }

    /// The channel of this schema's wake-ups.
    pub(super) fn channel(&self) -> String {
        self.schema.clone()
    }
}
