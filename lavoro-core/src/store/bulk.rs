//! Changing many jobs, a chunk in a transaction.

use super::jobs::bind_edit;
use super::{JobFilter, Store};
use crate::error::{Error, Result};
use crate::job::{JobId, JobState};
use crate::job_edit::CheckedEdit;
use serde::Serialize;
use sqlx::Row as _;
use std::time::Duration;

/// How many jobs one transaction changes.
const CHUNK: usize = 200;
/// How often a chunk is tried that met a deadlock or waited too long for a lock.
const TRIES: u32 = 5;

/// What is done with many jobs.
#[derive(Clone, Debug)]
pub(crate) enum BulkAction {
    Cancel,
    Retry,
    Delete,
    Edit(CheckedEdit),
}

/// What became of many jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BulkOutcome {
    /// How many jobs the filter found.
    pub matched: u64,
    /// How many of them were changed; for cancelling, also those that run and were asked to stop.
    pub changed: u64,
    /// How many of them were left alone: they had gone on meanwhile, were being changed or
    /// completed by another transaction, or another job holds their unique key.
    pub skipped: u64,
}

impl Store {
    /// Does something with all jobs that exist now, match the filter and are in one of the
    /// states: newest first, so that the walk ends however many jobs arrive.
    pub(crate) async fn bulk(
        &self,
        filter: &JobFilter,
        states: &[JobState],
        action: &BulkAction,
    ) -> Result<BulkOutcome> {
        let top = self.top().await?;
        let mut outcome = BulkOutcome::default();
        let mut before = Some(filter.before.map_or(top, |before| before.min(top)));
        while before.is_some() {
            let step = self.bulk_step(filter, states, before, action, &mut outcome).await;
            before = step.map_err(|error| partly(error, outcome))?;
        }
        outcome.skipped = outcome.matched - outcome.changed;
        Ok(outcome)
    }

    /// Looks for jobs, changes them chunk by chunk, and answers where to go on.
    async fn bulk_step(
        &self,
        filter: &JobFilter,
        states: &[JobState],
        before: Option<JobId>,
        action: &BulkAction,
        outcome: &mut BulkOutcome,
    ) -> Result<Option<JobId>> {
        let found = self.search(filter, states, before, CHUNK * 10).await?;
        for ids in found.ids.chunks(CHUNK) {
            outcome.changed += self.chunk(ids, states, action).await?;
            outcome.matched += ids.len() as u64;
        }
        Ok(found.next)
    }

    async fn chunk(&self, ids: &[JobId], states: &[JobState], action: &BulkAction) -> Result<u64> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_chunk(ids, states, action).await {
                Err(error) if error.is_transient() && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(50) * tries).await;
                }
                answer => return answer,
            }
        }
    }

    /// Changes those of the jobs that still wait, run, or have ended in one of the states. Jobs that
    /// others hold are left alone.
    async fn try_chunk(
        &self,
        ids: &[JobId],
        states: &[JobState],
        action: &BulkAction,
    ) -> Result<u64> {
        let numbers = |rows: Vec<sqlx::postgres::PgRow>| -> Vec<JobId> {
            rows.iter().map(|row| row.get("id")).collect()
        };
        let mut transaction = self.begin().await?;
        let lock = self.query(&self.sql.bulk_lock).bind(ids.to_vec());
        let held = numbers(transaction.fetch_all(lock).await?);
        let ends =
            [(JobState::Completed, 1_i16), (JobState::Cancelled, 2), (JobState::Discarded, 3)];
        let ended = ends.into_iter().filter(|(state, _)| states.contains(state));
        let ended: Vec<i16> = ended.map(|(_, number)| number).collect();
        let open = states.iter().any(|state| !state.is_final());
        let check = self.query(&self.sql.bulk_states).bind(held).bind(ended).bind(open);
        let held = numbers(transaction.fetch_all(check).await?);
        let change = self.change(held, states, action);
        let changed: Vec<JobId> = transaction.fetch_one(change).await?.get("ids");
        transaction.commit().await?;
        Ok(changed.len() as u64)
    }

    fn change(&self, ids: Vec<JobId>, states: &[JobState], action: &BulkAction) -> super::Query {
        let waiting = states.iter().any(|state| state.is_waiting());
        let running = states.contains(&JobState::Running);
        let ended = states.iter().any(|state| state.is_final());
        match action {
            BulkAction::Cancel => {
                self.query(&self.sql.bulk_cancel).bind(ids).bind(waiting).bind(running)
            }
            BulkAction::Retry => {
                self.query(&self.sql.bulk_retry).bind(ids).bind(waiting).bind(ended)
            }
            BulkAction::Delete => {
                self.query(&self.sql.bulk_delete).bind(ids).bind(waiting).bind(ended)
            }
            BulkAction::Edit(edit) => bind_edit(self.query(&self.sql.bulk_edit).bind(ids), edit),
        }
    }
}

/// Says what had been done before it failed.
fn partly(error: Error, outcome: BulkOutcome) -> Error {
    if outcome.changed == 0 {
        return error;
    }
    let done = format!("{} (jobs changed before: {})", error.message(), outcome.changed);
    let (kind, transient) = (error.kind(), error.is_transient());
    let partly = Error::new(kind, done).with_source(error);
    if transient { partly.transient() } else { partly }
}
