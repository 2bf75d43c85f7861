//! Ending attempts: final outcomes, and jobs that go back to waiting.

use super::Store;
use crate::error::Result;
use crate::job::{JobId, Ticket};
use crate::outcome::Failure;
use crate::retry::Backoff;
use sqlx::Row as _;
use std::time::Duration;
use uuid::Uuid;

/// A job's final state, as `outcome.state` holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Final {
    Completed = 1,
    Cancelled = 2,
    Discarded = 3,
}

/// The end of a job.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) job: JobId,
    pub(crate) token: Uuid,
    /// Where in its lease the job was when it was claimed, if that is known.
    pub(crate) place: Option<i32>,
    pub(crate) keyed: bool,
    pub(crate) state: Final,
    pub(crate) result: Option<String>,
    pub(crate) failure: Option<Failure>,
}

/// A job that goes back to waiting.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) job: JobId,
    pub(crate) token: Uuid,
    /// How many attempts count so far.
    pub(crate) attempts: u32,
    pub(crate) suspect: bool,
    /// `None`: it may run at once.
    pub(crate) delay: Option<Duration>,
    pub(crate) failure: Option<Failure>,
    /// Whether the attempt that failed counts.
    pub(crate) counted: bool,
}

/// A job of a lease that is locked for being given back.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) job: JobId,
    pub(crate) token: Uuid,
    pub(crate) attempt: u32,
    pub(crate) suspect: bool,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) keyed: bool,
    /// If it is lost, nobody may run it again before a person has looked.
    pub(crate) exclusive: bool,
}

/// What was recorded of a batch of endings.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) jobs: Vec<JobId>,
    /// The leases that are gone.
    pub(crate) dropped: Vec<Uuid>,
}

impl Store {
    /// Records ends of jobs, and drops leases all of whose jobs have ended.
    pub(crate) async fn finish(&self, endings: &[Ending], drop: &[Uuid]) -> Result<Finished> {
        let query = self.finish_query(endings, drop);
        let row = self.fetch_one(query).await?;
        Ok(Finished { jobs: row.get("done"), dropped: row.get("dropped") })
    }

    fn finish_query(&self, endings: &[Ending], drop: &[Uuid]) -> super::Query {
        let mut tokens: Vec<Uuid> = endings.iter().map(|ending| ending.token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let keyed: Vec<JobId> = endings.iter().filter(|e| e.keyed).map(|e| e.job).collect();
        let column =
            |pick: fn(&Ending) -> Option<String>| endings.iter().map(pick).collect::<Vec<_>>();
        self.query(&self.sql.finish)
            .bind(endings.iter().map(|e| e.job).collect::<Vec<_>>())
            .bind(endings.iter().map(|e| e.token).collect::<Vec<_>>())
            .bind(endings.iter().map(|e| e.place).collect::<Vec<_>>())
            .bind(endings.iter().map(|e| e.state as i16).collect::<Vec<_>>())
            .bind(column(|e| e.result.clone()))
            .bind(column(|e| e.failure.as_ref().map(|f| f.kind.as_str().to_owned())))
            .bind(column(|e| e.failure.as_ref().map(|f| f.message.clone())))
            .bind(tokens)
            .bind(drop.to_vec())
            .bind(keyed)
    }

    /// Which of these attempts are recorded as ended, whoever was told; of each, whether its job
    /// was given back without an error.
    pub(crate) async fn recorded(&self, attempts: &[(Ticket, bool)]) -> Result<Vec<JobId>> {
        let query = self
            .query(&self.sql.recorded)
            .bind(attempts.iter().map(|(ticket, _)| ticket.id).collect::<Vec<_>>())
            .bind(attempts.iter().map(|(ticket, _)| ticket.claimed_at).collect::<Vec<_>>())
            .bind(attempts.iter().map(|(ticket, _)| ticket.token).collect::<Vec<_>>())
            .bind(attempts.iter().map(|(_, given_back)| *given_back).collect::<Vec<_>>());
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("job_id")).collect())
    }

    /// Which of these attempts are still under their lease and have not ended.
    pub(crate) async fn standing(&self, attempts: &[Ticket]) -> Result<Vec<JobId>> {
        let query = self
            .query(&self.sql.standing)
            .bind(attempts.iter().map(|ticket| ticket.id).collect::<Vec<_>>())
            .bind(attempts.iter().map(|ticket| ticket.token).collect::<Vec<_>>());
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("job_id")).collect())
    }

    /// Which of these jobs no user's transaction is completing at this moment.
    pub(crate) async fn unlocked(&self, jobs: Vec<JobId>) -> Result<Vec<JobId>> {
        let query = self.query(&self.sql.unlocked).bind(jobs);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    /// Gives jobs back to waiting. Answers those that went; a job that a user's transaction is
    /// completing at this moment is left out, as is one whose lease no longer lists it.
    pub(crate) async fn give_back(&self, returns: &[Return]) -> Result<Vec<JobId>> {
        let tokens: Vec<Uuid> = returns.iter().map(|r| r.token).collect();
        let jobs: Vec<JobId> = returns.iter().map(|r| r.job).collect();
        let hold = self.query(&self.sql.hold).bind(tokens).bind(Some(jobs));
        let mut transaction = self.begin().await?;
        let held: Vec<JobId> =
            transaction.fetch_all(hold).await?.iter().map(|row| row.get("job_id")).collect();
        let free: Vec<_> = returns.iter().filter(|r| held.contains(&r.job)).cloned().collect();
        let rows = transaction.fetch_all(self.give_back_query(&free)).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(|row| row.get("job_id")).collect())
    }

    fn give_back_query(&self, returns: &[Return]) -> super::Query {
        let millis = |delay: Duration| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let attempts = returns.iter().map(|r| i16::try_from(r.attempts).unwrap_or(i16::MAX));
        let kinds = returns.iter().map(|r| r.failure.as_ref().map(|f| f.kind.as_str().to_owned()));
        let messages = returns.iter().map(|r| r.failure.as_ref().map(|f| f.message.clone()));
        self.query(&self.sql.give_back)
            .bind(returns.iter().map(|r| r.job).collect::<Vec<_>>())
            .bind(returns.iter().map(|r| r.token).collect::<Vec<_>>())
            .bind(attempts.collect::<Vec<_>>())
            .bind(returns.iter().map(|r| r.suspect).collect::<Vec<_>>())
            .bind(returns.iter().map(|r| r.delay.map(millis)).collect::<Vec<_>>())
            .bind(kinds.collect::<Vec<_>>())
            .bind(messages.collect::<Vec<_>>())
            .bind(returns.iter().map(|r| r.counted).collect::<Vec<_>>())
    }

    /// Takes up to `limit` leases of a silent worker apart. `judge` says of each job whether it
    /// goes back or has used its last attempt. Answers how many leases there were.
    pub(crate) async fn rescue(
        &self,
        worker: &super::SilentWorker,
        limit: usize,
        judge: impl Fn(&Held) -> std::result::Result<Return, Ending> + Send + Sync,
    ) -> Result<Rescued> {
        let lost = self
            .query(&self.sql.lost_leases)
            .bind(worker.id)
            .bind(worker.beat_at)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut transaction = self.begin().await?;
        let rows = transaction.fetch_all(lost).await?;
        let tokens: Vec<Uuid> = rows.iter().map(|row| row.get("token")).collect();
        if tokens.is_empty() {
            transaction.commit().await?;
            return Ok(Rescued::default());
        }
        transaction.fetch_all(self.query(&self.sql.worker_rescued).bind(worker.id)).await?;
        let hold = self.query(&self.sql.hold).bind(tokens.clone()).bind(None::<Vec<JobId>>);
        let held = transaction.fetch_all(hold).await?;
        let (mut returns, mut endings) = (Vec::new(), Vec::new());
        for row in &held {
            match judge(&held_row(row)) {
                Ok(back) => returns.push(back),
                Err(end) => endings.push(end),
            }
        }
        let ended = transaction.fetch_one(self.finish_query(&endings, &[])).await?;
        let returned = transaction.fetch_all(self.give_back_query(&returns)).await?;
        // What is left may be leases whose jobs have all ended.
        let drop = self.query(&self.sql.lease_drop).bind(tokens.clone());
        transaction.fetch_all(drop).await?;
        transaction.commit().await?;
        Ok(Rescued {
            leases: tokens.len(),
            returned: returned.len(),
            discarded: ended.get::<Vec<JobId>, _>("done").len(),
            queues: returned.iter().map(|row| row.get("queue")).collect(),
        })
    }
}

/// What a rescue did.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    pub(crate) leases: usize,
    pub(crate) returned: usize,
    pub(crate) discarded: usize,
    pub(crate) queues: Vec<String>,
}

fn held_row(row: &sqlx::postgres::PgRow) -> Held {
    let backoff: Option<&str> = row.get("backoff");
    Held {
        job: row.get("job_id"),
        token: row.get("token"),
        attempt: row.get::<i16, _>("attempt").unsigned_abs().into(),
        suspect: row.get("suspect"),
        max_attempts: row.get::<i16, _>("max_attempts").unsigned_abs().into(),
        backoff: backoff.and_then(|text| Backoff::from_json(text).ok()),
        keyed: row.get("keyed"),
        exclusive: row.get("exclusive"),
    }
}
