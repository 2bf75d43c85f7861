//! Queues: what they hold, their settings, and moving or deleting what waits in them.

use super::Store;
use crate::error::Result;
use crate::job::JobId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// How many packs one statement moves or deletes: it holds their locks until it commits.
const PACKS: i64 = 16;
/// How many running jobs one transaction moves.
const RUNNING: i64 = 500;

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

/// What the packs of a queue that may run now share beside the queue.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    task: String,
    suspect: bool,
    priority: i32,
}

/// What one statement did to some of a queue's packs.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// The last pack that was looked at; `None`: there are no more.
    pub(crate) last: Option<i64>,
    pub(crate) jobs: i64,
    /// Jobs whose unique key another job holds in the new queue; 0: one that is not committed.
    pub(crate) refused: Vec<(JobId, JobId)>,
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

    /// Pauses a queue, or resumes it.
    pub(crate) async fn pause_queue(&self, queue: &str, paused: bool) -> Result<()> {
        let query = self.query(&self.sql.queue_pause).bind(queue.to_owned()).bind(paused);
        self.execute(query).await
    }

    /// Wakes idle workers of these queues.
    pub(crate) async fn hint(&self, queues: Vec<String>) -> Result<()> {
        self.hint_on(self.channel(), queues).await
    }

    /// Sends messages over a channel.
    pub(super) async fn hint_on(&self, channel: String, messages: Vec<String>) -> Result<()> {
        let query = self.query(&self.sql.hint).bind(channel).bind(messages);
        self.execute(query).await
    }

    /// The newest job.
    pub(crate) async fn newest_job(&self) -> Result<JobId> {
        let row = self.fetch_one(self.query(&self.sql.queue_mark)).await?;
        Ok(row.get("last"))
    }

    /// The lanes of a queue's packs up to `until` that may run now.
    pub(crate) async fn lanes(&self, queue: &str, until: JobId) -> Result<Vec<Lane>> {
        let query = self.query(&self.sql.queue_lanes).bind(queue.to_owned()).bind(until);
        let rows = self.fetch_all(query).await?;
        let lane = |row: &PgRow| Lane {
            task: row.get("task"),
            suspect: row.get("suspect"),
            priority: row.get("priority"),
        };
        Ok(rows.iter().map(lane).collect())
    }

    /// Moves some packs of a lane to another queue.
    pub(crate) async fn move_ready(
        &self,
        (from, to): (&str, &str),
        lane: &Lane,
        (after, until): (JobId, JobId),
    ) -> Result<Chunk> {
        let query = self
            .query(&self.sql.queue_move_ready)
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(lane.task.clone())
            .bind(lane.suspect)
            .bind(lane.priority)
            .bind(after)
            .bind(until)
            .bind(PACKS);
        Ok(moved(&self.fetch_one(query).await?))
    }

    /// Moves some packs whose time has not come to another queue.
    pub(crate) async fn move_scheduled(
        &self,
        (from, to): (&str, &str),
        (after, until): (JobId, JobId),
    ) -> Result<Chunk> {
        let query = self
            .query(&self.sql.queue_move_scheduled)
            .bind(from.to_owned())
            .bind(to.to_owned())
            .bind(after)
            .bind(until)
            .bind(PACKS);
        Ok(moved(&self.fetch_one(query).await?))
    }

    /// Gives some running jobs another queue to return to.
    pub(crate) async fn move_running(
        &self,
        (from, to): (&str, &str),
        (after, until): (JobId, JobId),
    ) -> Result<Chunk> {
        let hold = self
            .query(&self.sql.queue_hold_running)
            .bind(from.to_owned())
            .bind(after)
            .bind(until)
            .bind(RUNNING);
        let mut transaction = self.begin().await?;
        let rows = transaction.fetch_all(hold).await?;
        let jobs: Vec<JobId> = rows.iter().map(|row| row.get("id")).collect();
        let last = jobs.iter().copied().max();
        let query = self.query(&self.sql.queue_move_running).bind(jobs).bind(to.to_owned());
        let row = transaction.fetch_one(query).await?;
        transaction.commit().await?;
        Ok(Chunk { last, jobs: row.get("jobs"), refused: refused(&row) })
    }

    /// How many jobs of packs up to `until` wait in a queue.
    pub(crate) async fn waiting_jobs(&self, queue: &str, until: JobId) -> Result<i64> {
        let query = self.query(&self.sql.queue_left).bind(queue.to_owned()).bind(until);
        Ok(self.fetch_one(query).await?.get("jobs"))
    }

    /// How many jobs up to `until` run that return to a queue if they are tried again.
    pub(crate) async fn running_jobs(&self, queue: &str, until: JobId) -> Result<i64> {
        let query = self.query(&self.sql.queue_running).bind(queue.to_owned()).bind(until);
        Ok(self.fetch_one(query).await?.get("jobs"))
    }

    /// Gives a queue the settings of another.
    pub(crate) async fn copy_queue_settings(&self, from: &str, to: &str) -> Result<()> {
        let query =
            self.query(&self.sql.queue_settings_copy).bind(from.to_owned()).bind(to.to_owned());
        self.execute(query).await
    }

    /// Forgets the settings of a queue.
    pub(crate) async fn drop_queue_settings(&self, queue: &str) -> Result<()> {
        let query = self.query(&self.sql.queue_settings_drop).bind(queue.to_owned());
        self.execute(query).await
    }

    /// Deletes some packs of a lane with their jobs.
    pub(crate) async fn clear_ready(
        &self,
        queue: &str,
        lane: &Lane,
        (after, until): (JobId, JobId),
    ) -> Result<Chunk> {
        let query = self
            .query(&self.sql.queue_clear_ready)
            .bind(queue.to_owned())
            .bind(lane.task.clone())
            .bind(lane.suspect)
            .bind(lane.priority)
            .bind(after)
            .bind(until)
            .bind(PACKS);
        Ok(cleared(&self.fetch_one(query).await?))
    }

    /// Deletes some packs whose time has not come with their jobs.
    pub(crate) async fn clear_scheduled(
        &self,
        queue: &str,
        (after, until): (JobId, JobId),
    ) -> Result<Chunk> {
        let query = self
            .query(&self.sql.queue_clear_scheduled)
            .bind(queue.to_owned())
            .bind(after)
            .bind(until)
            .bind(PACKS);
        Ok(cleared(&self.fetch_one(query).await?))
    }

    /// The channel of this schema's wake-ups.
    pub(super) fn channel(&self) -> String {
        self.schema.clone()
    }
}

fn cleared(row: &PgRow) -> Chunk {
    Chunk { last: row.get("last"), jobs: row.get("jobs"), refused: Vec::new() }
}

fn moved(row: &PgRow) -> Chunk {
    Chunk { refused: refused(row), ..cleared(row) }
}

fn refused(row: &PgRow) -> Vec<(JobId, JobId)> {
    let (jobs, holders): (Vec<JobId>, Vec<JobId>) = (row.get("refused"), row.get("holders"));
    jobs.into_iter().zip(holders).collect()
}
