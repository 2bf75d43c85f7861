//! Schedules: making, changing, listing and removing them.

use super::Store;
use super::enqueue::backoff_json;
use super::slots::{missed, source};
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;
use crate::new_job::Due;
use crate::schedule::{CheckedSchedule, OnLost, Overlap, ScheduleInfo, SlotInfo, Timing};
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::time::Duration;
use uuid::Uuid;

/// How many of its next slots a schedule is listed with.
const NEXT: usize = 5;

/// How a schedule is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Declared in code.
    Declare,
    /// Made at run time, unless there is one.
    Add,
    /// Made or changed at run time.
    Replace,
}

/// What storing it came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) id: i64,
    pub(crate) created: bool,
}

impl Store {
    /// Makes or changes a schedule.
    pub(crate) async fn put_schedule(
        &self,
        schedule: &CheckedSchedule,
        put: Put,
    ) -> Result<Stored> {
        // Another process may make it at the same moment; then its number is seen the next time.
        for _ in 0..5 {
            let row = self.fetch_one(self.put_query(schedule, put)).await?;
            let (id, created): (Option<i64>, bool) = (row.get("id"), row.get("created"));
            if put == Put::Add && !created {
                let message = format!("there is a schedule {} already", schedule.name);
                return Err(Error::new(ErrorKind::ScheduleExists, message));
            }
            if let Some(id) = id {
                return Ok(Stored { id, created });
            }
        }
        let message = format!("schedule {} is being made and removed by others", schedule.name);
        Err(Error::new(ErrorKind::Database, message).transient())
    }

    fn put_query(&self, schedule: &CheckedSchedule, put: Put) -> super::Query {
        let CheckedSchedule { source, job, .. } = schedule;
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let (missed, within, limit) = schedule.missed.columns();
        let expires = match job.expiry {
            Due::In(ms) => Some(ms),
            _ => None,
        };
        let timeout = job.timeout.map(|timeout| i32::try_from(ms(timeout)).unwrap_or(i32::MAX));
        self.query(&self.sql.schedule_put)
            .bind(schedule.name.clone())
            .bind((put == Put::Declare).then(|| schedule.print()))
            .bind(put == Put::Add)
            .bind(source.cron.clone())
            .bind(source.every_ms)
            .bind(source.offset_ms)
            .bind(source.zone.clone())
            .bind(schedule.start)
            .bind(schedule.end)
            .bind(ms(schedule.jitter))
            .bind(missed)
            .bind(within)
            .bind(limit)
            .bind(schedule.overlap.as_str())
            .bind(schedule.on_lost.as_str())
            .bind(job.task.clone())
            .bind(job.queue.clone())
            .bind(job.priority)
            .bind(i16::try_from(job.max_attempts).unwrap_or(i16::MAX))
            .bind(timeout)
            .bind(expires)
            .bind(job.on_discarded.clone())
            .bind((!job.tags.is_empty()).then(|| job.tags.clone()))
            .bind(job.backoff.as_ref().map(backoff_json))
            .bind(job.metadata.as_ref().map(|json| json.as_str().to_owned()))
            .bind(job.payload.as_str().to_owned())
    }

    /// Up to `limit` schedules by name, those after one.
    pub(crate) async fn schedules(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<ScheduleInfo>> {
        let query = self.query(&self.sql.schedule_list).bind(None::<String>).bind(after);
        self.fetch_all(query.bind(i64::from(limit))).await?.iter().map(info).collect()
    }

    /// One schedule.
    pub(crate) async fn schedule(&self, name: String) -> Result<Option<ScheduleInfo>> {
        let query = self.query(&self.sql.schedule_list).bind(name).bind(None::<String>);
        self.fetch_all(query.bind(1_i64)).await?.iter().map(info).next().transpose()
    }

    /// The latest decisions on slots of a schedule, newest first.
    pub(crate) async fn slots(&self, schedule: i64, limit: u32) -> Result<Vec<SlotInfo>> {
        let query = self.query(&self.sql.slot_list).bind(schedule).bind(i64::from(limit));
        let rows = self.fetch_all(query).await?;
        Ok(rows
            .iter()
            .map(|row| SlotInfo {
                slot: row.get("slot"),
                decided_at: row.get("decided_at"),
                decision: row.get("decision"),
                reason: row.get("reason"),
                until: row.get("until"),
                job: row.get("job_id"),
            })
            .collect())
    }

    /// Pauses or resumes a schedule.
    pub(crate) async fn pause_schedule(&self, name: String, paused: bool) -> Result<()> {
        let sql = if paused { &self.sql.schedule_pause } else { &self.sql.schedule_resume };
        self.execute(self.query(sql).bind(name)).await
    }

    /// Removes a schedule. Answers whether there was one.
    pub(crate) async fn remove_schedule(&self, name: String) -> Result<bool> {
        let row = self.fetch_one(self.query(&self.sql.schedule_remove).bind(name)).await?;
        Ok(row.get("removed"))
    }

    /// Enqueues a schedule's job now. Answers it, and whether a worker waits for a wake-up.
    pub(crate) async fn run_schedule(&self, name: String) -> Result<(JobId, bool)> {
        let row = self.fetch_one(self.query(&self.sql.schedule_run).bind(name)).await?;
        Ok((row.get("id"), row.get("idle")))
    }

    /// Says that a process lives and which schedules it declares.
    pub(crate) async fn beat_declarer(&self, process: Uuid, schedules: Vec<i64>) -> Result<()> {
        self.execute(self.query(&self.sql.declarer_beat).bind(process).bind(schedules)).await
    }

    /// Says that a process declares nothing any more.
    pub(crate) async fn end_declarer(&self, process: Uuid) -> Result<()> {
        self.execute(self.query(&self.sql.declarer_end).bind(process)).await
    }
}

fn info(row: &PgRow) -> Result<ScheduleInfo> {
    let (start, end) = (row.get("start_at"), row.get("end_at"));
    let (now, decided): (DateTime<Utc>, DateTime<Utc>) = (row.get("now"), row.get("decided"));
    let source = source(row);
    let paused_at: Option<DateTime<Utc>> = row.get("paused_at");
    let timing = Timing::read(&source, start, end);
    let next = match &timing {
        Ok(timing) if paused_at.is_none() => {
            timing.slots_between(decided.max(now), DateTime::<Utc>::MAX_UTC, NEXT)
        }
        _ => Vec::new(),
    };
    let problem = timing.err().map(|error| error.message().to_owned());
    let span = |column: &str| row.get::<Option<i64>, _>(column).map(i64::unsigned_abs);
    let (missed, missed_within, missed_limit) = missed(row).columns();
    Ok(ScheduleInfo {
        id: row.get("id"),
        name: row.get("name"),
        task: row.get("task"),
        queue: row.get("queue"),
        cron: source.cron,
        every_ms: span("every_ms"),
        offset_ms: source.offset_ms,
        time_zone: source.zone,
        start,
        end,
        jitter_ms: row.get::<i64, _>("jitter_ms").unsigned_abs(),
        missed: missed.to_owned(),
        missed_within_ms: missed_within.map(i64::unsigned_abs),
        missed_limit: missed_limit.map(i32::unsigned_abs),
        overlap: row.get::<&str, _>("overlap").parse::<Overlap>()?,
        on_lost: OnLost::read(row.get("on_lost")),
        paused_at,
        held: row.get("held"),
        declared: row.get("declared"),
        undeclared: row.get("undeclared"),
        problem: row.get::<Option<String>, _>("problem").or(problem),
        priority: row.get("priority"),
        max_attempts: row.get::<i16, _>("max_attempts").unsigned_abs().into(),
        timeout_ms: row.get::<Option<i32>, _>("timeout_ms").map(i32::unsigned_abs),
        expires_ms: span("expires_ms"),
        on_discarded: row.get("on_discarded"),
        tags: row.get::<Option<Vec<String>>, _>("tags").unwrap_or_default(),
        metadata: row.get("metadata"),
        payload: row.get("payload"),
        created_at: row.get("created_at"),
        changed_at: row.get("changed_at"),
        next,
        queued: row.get("queued"),
        last_slot: row.get("last_slot"),
        last_decision: row.get("last_decision"),
        last_reason: row.get("last_reason"),
        last_job: row.get("job_id"),
    })
}
