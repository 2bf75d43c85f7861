//! Deciding on the slots of schedules.

use super::{Query, Store, Transaction};
use crate::error::Result;
use crate::job::JobId;
use crate::schedule::{Course, Decided, Missed, Overlap, Plan, Source, Timing, decide, delay};
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// What one step of firing did.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    /// How many schedules were looked at.
    pub(crate) schedules: usize,
    /// How many jobs were enqueued.
    pub(crate) jobs: usize,
    /// The queues that they are in.
    pub(crate) queues: Vec<String>,
    /// Whether a worker somewhere waits for a wake-up.
    pub(crate) idle: bool,
}

/// Decisions on a batch of schedules, as columns.
#[derive(Debug, Default)]
struct Batch {
    id: Vec<i64>,
    before: Vec<DateTime<Utc>>,
    after: Vec<DateTime<Utc>>,
    next: Vec<Option<DateTime<Utc>>>,
    queued: Vec<Option<DateTime<Utc>>>,
    problem: Vec<Option<String>>,
    fired: Slots,
    delay: Vec<i64>,
    noted: Slots,
    decision: Vec<&'static str>,
    until: Vec<Option<DateTime<Utc>>>,
}

#[derive(Debug, Default)]
struct Slots {
    schedule: Vec<i64>,
    slot: Vec<DateTime<Utc>>,
    reason: Vec<Option<&'static str>>,
}

impl Slots {
    fn push(&mut self, schedule: i64, decided: &Decided) {
        self.schedule.push(schedule);
        self.slot.push(decided.slot);
        self.reason.push(decided.reason);
    }
}

impl Store {
    /// In how long a schedule is to be looked at; `None`: there is none.
    pub(crate) async fn next_slot(&self) -> Result<Option<Duration>> {
        let row = self.fetch_one(self.query(&self.sql.schedule_next)).await?;
        let next: Option<i64> = row.get("next_ms");
        Ok(next.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())))
    }

    /// Decides on the slots of up to `limit` schedules, in one transaction with the jobs that it
    /// enqueues. `now` stands in for the server's clock in tests.
    pub(crate) async fn fire(&self, limit: i64, now: Option<DateTime<Utc>>) -> Result<Fired> {
        let mut transaction = self.begin().await?;
        let due = self.query(&self.sql.schedule_due).bind(limit).bind(now);
        let due: Vec<i64> =
            transaction.fetch_all(due).await?.iter().map(|row| row.get(0)).collect();
        if due.is_empty() {
            transaction.commit().await?;
            return Ok(Fired::default());
        }
        let read = self.query(&self.sql.schedule_read).bind(due).bind(now);
        let mut batch = Batch::default();
        for row in transaction.fetch_all(read).await? {
            batch.decide(&row);
        }
        let mut fired = Fired { schedules: batch.id.len(), ..Fired::default() };
        let latest = self.enqueue_slots(&mut transaction, &batch, &mut fired).await?;
        let row = transaction.fetch_one(self.advance_query(batch, &latest)).await?;
        fired.idle = row.get("idle");
        transaction.commit().await?;
        Ok(fired)
    }

    /// Enqueues the jobs of slots that fire. Answers the latest of each schedule.
    async fn enqueue_slots(
        &self,
        transaction: &mut Transaction<'_>,
        batch: &Batch,
        fired: &mut Fired,
    ) -> Result<HashMap<i64, JobId>> {
        let mut latest = HashMap::new();
        if batch.delay.is_empty() {
            return Ok(latest);
        }
        let query = self
            .query(&self.sql.schedule_fire)
            .bind(batch.fired.schedule.clone())
            .bind(batch.fired.slot.clone())
            .bind(batch.delay.clone())
            .bind(batch.fired.reason.clone());
        let mut queues = BTreeSet::new();
        for row in transaction.fetch_all(query).await? {
            let (schedule, job): (i64, JobId) = (row.get(0), row.get(1));
            latest
                .entry(schedule)
                .and_modify(|last: &mut JobId| *last = job.max(*last))
                .or_insert(job);
            queues.insert(row.get(2));
            fired.jobs += 1;
        }
        fired.queues = queues.into_iter().collect();
        Ok(latest)
    }

    fn advance_query(&self, batch: Batch, latest: &HashMap<i64, JobId>) -> Query {
        let jobs: Vec<Option<JobId>> = batch.id.iter().map(|id| latest.get(id).copied()).collect();
        self.query(&self.sql.schedule_advance)
            .bind(batch.id)
            .bind(batch.before)
            .bind(batch.after)
            .bind(batch.next)
            .bind(batch.queued)
            .bind(batch.noted.schedule)
            .bind(batch.noted.slot)
            .bind(batch.decision)
            .bind(batch.noted.reason)
            .bind(batch.until)
            .bind(jobs)
            .bind(batch.problem)
    }

    /// Deletes decisions that have been kept for `kept`. Answers nothing.
    pub(crate) async fn prune_slots(&self, limit: i64, kept: Duration) -> Result<()> {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        self.execute(self.query(&self.sql.slot_prune).bind(limit).bind(kept)).await
    }
}

impl Batch {
    /// Decides on one schedule.
    fn decide(&mut self, row: &PgRow) {
        let (id, decided): (i64, DateTime<Utc>) = (row.get("id"), row.get("decided"));
        let (plan, problem) = match plan(row, decided) {
            Ok(plan) => (plan, None),
            Err(error) => {
                tracing::warn!(
                    schedule = row.get::<&str, _>("name"), %error, "a schedule cannot fire"
                );
                let plan = Plan { decisions: Vec::new(), decided, queued: None, next: None };
                (plan, Some(error.message().to_owned()))
            }
        };
        let jitter: i64 = row.get("jitter_ms");
        for decision in &plan.decisions {
            if decision.decision == "fired" {
                self.fired.push(id, decision);
                self.delay.push(delay(id, decision.slot, jitter));
            } else {
                self.noted.push(id, decision);
                self.decision.push(decision.decision);
                self.until.push(decision.until);
            }
        }
        self.id.push(id);
        self.before.push(decided);
        self.after.push(plan.decided);
        self.next.push(plan.next);
        self.queued.push(plan.queued);
        self.problem.push(problem);
    }
}

fn plan(row: &PgRow, decided: DateTime<Utc>) -> Result<Plan> {
    if row.get("paused") {
        return Ok(Plan { decisions: Vec::new(), decided, queued: row.get("queued"), next: None });
    }
    let timing = Timing::read(&source(row), row.get("start_at"), row.get("end_at"))?;
    Ok(decide(&Course {
        timing: &timing,
        missed: missed(row),
        overlap: row.get::<&str, _>("overlap").parse::<Overlap>()?,
        decided,
        queued: row.get("queued"),
        open: row.get("open"),
        held: row.get("held"),
        now: row.get("now"),
    }))
}

/// What repeats.
pub(super) fn source(row: &PgRow) -> Source {
    Source {
        cron: row.get("cron"),
        every_ms: row.get("every_ms"),
        offset_ms: row.get("offset_ms"),
        zone: row.get("zone"),
    }
}

/// What becomes of missed slots.
pub(super) fn missed(row: &PgRow) -> Missed {
    Missed::read(row.get("missed"), row.get("missed_within_ms"), row.get("missed_limit"))
}
