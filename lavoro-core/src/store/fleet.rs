//! Which workers there are, what they hold, and what none of them handles.

use super::Store;
use crate::error::Result;
use crate::fleet::{WorkerInfo, WorkerState, read_queues};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// Jobs that wait although no live worker handles them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unhandled {
    /// Their queue.
    pub queue: String,
    /// Their task.
    pub task: String,
    /// How many wait, those included whose time has not come.
    pub jobs: i64,
    /// When the oldest of them was enqueued.
    pub oldest: Option<DateTime<Utc>>,
}

impl Store {
    /// The workers, oldest first; those that have ended too if `ended`.
    pub(crate) async fn workers(&self, ended: bool) -> Result<Vec<WorkerInfo>> {
        let query = self.query(&self.sql.worker_list).bind(ended);
        Ok(self.fetch_all(query).await?.iter().map(worker).collect())
    }

    /// The lanes with waiting jobs that no live worker handles.
    pub(crate) async fn unhandled(&self) -> Result<Vec<Unhandled>> {
        let rows = self.fetch_all(self.query(&self.sql.unhandled)).await?;
        let lane = |row: &PgRow| Unhandled {
            queue: row.get("queue"),
            task: row.get("task"),
            jobs: row.get("jobs"),
            oldest: row.get("oldest"),
        };
        Ok(rows.iter().map(lane).collect())
    }

    /// Which of these lanes (queue and task) a live worker handles, in no order.
    pub(crate) async fn handled(
        &self,
        lanes: Vec<(String, String)>,
    ) -> Result<Vec<(String, String, bool)>> {
        let (queues, tasks): (Vec<String>, Vec<String>) = lanes.into_iter().unzip();
        let query = self.query(&self.sql.lanes_handled).bind(queues).bind(tasks);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| (row.get("queue"), row.get("task"), row.get("handled"))).collect())
    }
}

/// A row of `worker_list.sql`.
pub(super) fn worker(row: &PgRow) -> WorkerInfo {
    let ended_at: Option<DateTime<Utc>> = row.get("ended_at");
    let state = match (ended_at, row.get("silent")) {
        (Some(_), _) => WorkerState::Ended,
        (None, true) => WorkerState::Silent,
        (None, false) => WorkerState::Alive,
    };
    let queues = read_queues(&row.get("queues"));
    let small = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    WorkerInfo {
        id: row.get("id"),
        name: row.get("name"),
        host: row.get("host"),
        pid: row.get::<i32, _>("pid").unsigned_abs(),
        language: row.get("language"),
        version: row.get("version"),
        state,
        slots: queues.values().fold(0, |sum, queue| sum.saturating_add(queue.concurrency)),
        queues,
        tasks: row.get("tasks"),
        started_at: row.get("started_at"),
        beat_at: row.get("beat_at"),
        since_beat_ms: row.get::<i64, _>("beat_ms").max(0).unsigned_abs(),
        ended_at,
        lease_ms: row.get::<i32, _>("lease_ms").unsigned_abs(),
        running: small(row.get("running")),
        holds_suspect: row.get("suspect"),
        oldest_running_ms: row
            .get::<Option<i64>, _>("oldest_ms")
            .map(|ms| ms.max(0).unsigned_abs()),
    }
}
