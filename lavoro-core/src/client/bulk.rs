//! Enqueueing many jobs at once.

use super::hint::Hinter;
use super::producer::{self, Producer};
use crate::error::Result;
use crate::new_job::{CheckedJob, Enqueued};
use crate::store::{Batch, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How many jobs one statement carries at most.
const JOBS: usize = 2000;
/// How many bytes of payload one statement carries at most, unless its only job is larger.
const BYTES: usize = 8 << 20;

/// Commits many jobs together.
#[derive(Debug)]
pub(super) struct Bulk {
    store: Arc<Store>,
    producer: Producer,
    patience: Duration,
}

impl Bulk {
    pub(super) fn new(store: Arc<Store>, patience: Duration) -> Self {
        Self { producer: Producer::new(Arc::clone(&store), patience), store, patience }
    }

    /// Enqueues jobs: those without unique keys in one transaction, then the others one by one.
    /// Answers in the jobs' order.
    pub(super) async fn enqueue(
        &mut self,
        jobs: Vec<CheckedJob>,
        hinter: &Hinter,
    ) -> Result<Vec<Enqueued>> {
        let mut answers = vec![None; jobs.len()];
        let (keyed, plain): (Vec<_>, Vec<_>) =
            jobs.iter().enumerate().partition(|(_, job)| job.unique_key.is_some());
        let batches = batches(&plain);
        let mut idle = false;
        if !batches.is_empty() {
            let (ids, waits) = self.producer.enqueue_all(&batches).await?;
            idle = waits;
            for ((place, _), id) in plain.iter().zip(ids.into_iter().flatten()) {
                answers[*place] = Some(Enqueued { id, created: true });
            }
        }
        for (place, job) in keyed {
            let answer = producer::keyed(&self.store, job, self.patience).await?;
            idle |= answer.idle;
            answers[place] = Some(answer.enqueued);
        }
        if idle {
            let queues: BTreeSet<&str> = jobs.iter().map(|job| job.queue.as_str()).collect();
            for queue in queues {
                hinter.hint(queue);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

fn batches(jobs: &[(usize, &CheckedJob)]) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = jobs;
    while !rest.is_empty() {
        let bytes = rest.iter().take(JOBS).scan(0, |sum, (_, job)| {
            *sum += job.payload.size();
            Some(*sum)
        });
        let fitting = bytes.take_while(|sum| *sum <= BYTES).count().max(1);
        let (batch, others) = rest.split_at(fitting);
        batches.push(Batch::new(batch.iter().map(|(_, job)| *job)));
        rest = others;
    }
    batches
}
