//! Enqueueing exactly once: every batch has a number, and one that is sent again because its
//! reply was lost is recognised by it.

use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;
use crate::new_job::CheckedJob;
use crate::service::Patience;
use crate::store::{Batch, KeyedAnswer, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// One sequence of batches, each applied at most once.
#[derive(Debug)]
pub(crate) struct Producer {
    store: Arc<Store>,
    id: Uuid,
    seq: i64,
    opened: bool,
    patience: Duration,
}

impl Producer {
    /// A producer whose batches are tried again for as long as `patience`.
    pub(crate) fn new(store: Arc<Store>, patience: Duration) -> Self {
        Self { store, id: Uuid::now_v7(), seq: 0, opened: false, patience }
    }

    /// Enqueues a batch. Answers the ids in the jobs' order, and whether a worker waits for a
    /// wake-up.
    pub(crate) async fn enqueue(&mut self, batch: &Batch) -> Result<(Vec<JobId>, bool)> {
        self.seq += 1;
        let mut retry = Retry::new(self.patience);
        loop {
            match self.try_enqueue(batch).await {
                Err(error) => retry.pause(error).await?,
                answer => return answer,
            }
        }
    }

    async fn try_enqueue(&mut self, batch: &Batch) -> Result<(Vec<JobId>, bool)> {
        self.open().await?;
        let answer = self.store.enqueue(self.id, self.seq, batch).await?;
        if let Some(ids) = answer.ids {
            return Ok((ids, answer.idle));
        }
        match self.store.last_batch(self.id).await? {
            Some((seq, ids)) if seq == self.seq => Ok((ids, true)),
            other => self.lost_place(other.is_none()),
        }
    }

    /// Enqueues batches in one transaction. Answers the ids of each.
    pub(crate) async fn enqueue_all(
        &mut self,
        batches: &[Batch],
    ) -> Result<(Vec<Vec<JobId>>, bool)> {
        let first = self.seq + 1;
        self.seq += i64::try_from(batches.len()).unwrap_or(i64::MAX - self.seq);
        let mut retry = Retry::new(self.patience);
        let mut given: Vec<Vec<JobId>> = Vec::new();
        loop {
            match self.try_enqueue_all(first, batches, &mut given).await {
                Err(error) => retry.pause(error).await?,
                answer => return answer.map(|idle| (given, idle)),
            }
        }
    }

    async fn try_enqueue_all(
        &mut self,
        first: i64,
        batches: &[Batch],
        given: &mut Vec<Vec<JobId>>,
    ) -> Result<bool> {
        self.open().await?;
        let mut ids = Vec::new();
        let answer = self.store.enqueue_all(self.id, first, batches, &mut ids).await;
        let is_new = |ids: &[Vec<JobId>]| ids.iter().zip(batches).all(|(i, b)| i.len() == b.len());
        if ids.len() == batches.len() && is_new(&ids) {
            *given = ids; // known before the commit, in case its reply is lost
        } else if answer.is_ok() {
            // Refused by its number: a commit whose reply was lost had gone through.
            return match self.store.last_batch(self.id).await? {
                Some((seq, _)) if seq == self.seq && given.len() == batches.len() => Ok(true),
                other => self.lost_place(other.is_none()),
            };
        }
        answer
    }

    async fn open(&mut self) -> Result<()> {
        if !self.opened {
            self.store.open_producer(self.id).await?;
            self.opened = true;
        }
        Ok(())
    }

    /// The producer's row was swept (it had not been seen for a day): open it again.
    fn lost_place<T>(&mut self, swept: bool) -> Result<T> {
        let error = Error::new(ErrorKind::Internal, "a producer's row has an unexpected number");
        if swept {
            self.opened = false;
            return Err(error.transient());
        }
        Err(error)
    }
}

/// Enqueues a job with a unique key. Its number makes it safe to send again.
pub(crate) async fn keyed(
    store: &Store,
    job: &CheckedJob,
    patience: Duration,
) -> Result<KeyedAnswer> {
    let mut retry = Retry::new(patience);
    let mut number = None;
    loop {
        match try_keyed(store, job, &mut number).await {
            Err(error) => retry.pause(error).await?,
            answer => return answer,
        }
    }
}

async fn try_keyed(
    store: &Store,
    job: &CheckedJob,
    number: &mut Option<JobId>,
) -> Result<KeyedAnswer> {
    let number = match *number {
        Some(number) => number,
        None => *number.insert(store.job_number().await?),
    };
    store.enqueue_keyed(number, job).await
}

/// Waits between tries until time is up.
struct Retry {
    until: Instant,
    patience: Patience,
}

impl Retry {
    fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, patience: Patience::default() }
    }

    /// Waits before the next try; hands the error back if there is none.
    async fn pause(&mut self, error: Error) -> Result<()> {
        let pause = self.patience.next_after("enqueueing", &error);
        if !error.is_transient() || Instant::now() + pause > self.until {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
