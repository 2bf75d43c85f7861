//! Queues: pause, resume, rename and clear them.

use super::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;
use crate::limits;
use crate::store::{Chunk, Lane, QueueInfo, Store};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often a rename or clear looks again for what others held, and how long it waits between.
const ROUNDS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(50);

/// What a rename did.
#[derive(Clone, Debug, Serialize)]
pub struct QueueRename {
    /// The queue's old name.
    pub from: String,
    /// Its new name.
    pub to: String,
    /// How many waiting jobs were moved.
    pub waiting: u64,
    /// How many running jobs return to the new name if they are tried again.
    pub running: u64,
    /// Jobs that stay under the old name, since another job has their unique key under the new.
    pub kept: Vec<KeptJob>,
    /// How many other jobs stay, since someone held them all the time.
    pub left: u64,
}

/// A job that could not be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeptJob {
    /// The job, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: JobId,
    /// The job that holds its unique key; `None` if that one is not committed yet.
    #[serde(serialize_with = "as_string_or_null")]
    pub holder: Option<JobId>,
}

/// What a clear did.
#[derive(Clone, Debug, Serialize)]
pub struct QueueClear {
    /// The queue.
    pub queue: String,
    /// How many jobs were deleted.
    pub deleted: u64,
    /// How many others of the same age stay, since someone held them all the time.
    pub left: u64,
}

impl Lavoro {
    /// Every queue that holds jobs or settings, by name.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn queues(&self) -> Result<Vec<QueueInfo>> {
        let store = Arc::clone(&self.inner.store);
        self.run(async move { store.queues().await }).await
    }

    /// Pauses a queue for all workers: nothing more is claimed from it. What they hold already
    /// runs on.
    ///
    /// # Errors
    /// `invalid_queue`, or what is wrong with the database.
    pub async fn pause_queue(&self, queue: impl Into<String>) -> Result<()> {
        self.set_paused(queue.into(), true).await
    }

    /// Resumes a paused queue, and wakes idle workers.
    ///
    /// # Errors
    /// `invalid_queue`, or what is wrong with the database.
    pub async fn resume_queue(&self, queue: impl Into<String>) -> Result<()> {
        self.set_paused(queue.into(), false).await
    }

    async fn set_paused(&self, queue: String, paused: bool) -> Result<()> {
        limits::check_queue(&queue)?;
        let store = Arc::clone(&self.inner.store);
        self.run(async move {
            store.pause_queue(&queue, paused).await?;
            if !paused {
                wake(&store, queue).await;
            }
            Ok(())
        })
        .await
    }

    /// Renames a queue: its waiting and running jobs, their unique keys and its settings take
    /// the new name, a few at a time, so that producers and workers go on meanwhile. A queue
    /// that has the new name already takes them in; it is paused afterwards if one of the two
    /// was. Ended jobs keep the old name.
    ///
    /// What is enqueued under the old name from now on stays there: change producers first, or
    /// rename again. Safe to call again after an error. A job whose unique key is held by another
    /// job of the new name stays, and is named in the answer.
    ///
    /// # Errors
    /// `invalid_queue`; `invalid_option` if both names are the same; or what is wrong with the
    /// database.
    pub async fn rename_queue(
        &self,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Result<QueueRename> {
        let (from, to) = (from.into(), to.into());
        limits::check_queue(&from)?;
        limits::check_queue(&to)?;
        if from == to {
            let message = format!("queue {from:?} has this name already");
            return Err(Error::new(ErrorKind::InvalidOption, message));
        }
        let store = Arc::clone(&self.inner.store);
        self.run(async move { rename(&store, from, to).await }).await
    }

    /// Deletes all jobs that wait in a queue, with their history, a few packs at a time. Those
    /// that run go on; those enqueued from now on stay.
    ///
    /// # Errors
    /// `invalid_queue`, or what is wrong with the database.
    pub async fn clear_queue(&self, queue: impl Into<String>) -> Result<QueueClear> {
        let queue = queue.into();
        limits::check_queue(&queue)?;
        let store = Arc::clone(&self.inner.store);
        self.run(async move { clear(&store, queue).await }).await
    }
}

/// Wakes idle workers. One that is not woken looks by itself within its poll interval.
async fn wake(store: &Store, queue: String) {
    let _ = store.hint(vec![queue]).await;
}

/// Some of a queue's jobs, to be gone through in the order of their ids.
#[derive(Clone, Copy)]
enum Place<'a> {
    Ready(&'a Lane),
    Scheduled,
    Running,
}

/// Jobs that cannot move, and who is in their way.
type Kept = BTreeMap<JobId, JobId>;

/// What a rename or clear came to.
#[derive(Default)]
struct Swept {
    waiting: i64,
    running: i64,
    left: i64,
    kept: Kept,
}

/// A rename or clear under way.
struct Sweep<'a> {
    store: &'a Store,
    queue: &'a str,
    /// The new name; `None`: the jobs are deleted.
    to: Option<&'a str>,
    /// The newest job to look at, so that producers cannot keep this from ending.
    until: JobId,
}

impl<'a> Sweep<'a> {
    async fn new(store: &'a Store, queue: &'a str, to: Option<&'a str>) -> Result<Self> {
        Ok(Self { store, queue, to, until: store.newest_job().await? })
    }

    /// Goes over the jobs until none is left that others do not hold.
    async fn run(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        for _ in 0..ROUNDS {
            let kept = &mut swept.kept;
            kept.clear();
            // What runs comes first, so that it returns to the new name meanwhile.
            swept.running += self.walk(Place::Running, kept).await?;
            for lane in self.store.lanes(self.queue, self.until).await? {
                swept.waiting += self.walk(Place::Ready(&lane), kept).await?;
            }
            swept.waiting += self.walk(Place::Scheduled, kept).await?;
            let mut left = self.store.waiting_jobs(self.queue, self.until).await?;
            if self.to.is_some() {
                left += self.store.running_jobs(self.queue, self.until).await?;
            }
            swept.left = left.saturating_sub_unsigned(kept.len() as u64).max(0);
            if swept.left == 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(swept)
    }

    /// Goes over one place, a chunk at a time.
    async fn walk(&self, place: Place<'_>, kept: &mut Kept) -> Result<i64> {
        let (mut jobs, mut after) = (0, 0);
        loop {
            let chunk = self.step(place, after).await?;
            jobs += chunk.jobs;
            kept.extend(chunk.refused);
            match chunk.last {
                Some(last) => after = last,
                None => return Ok(jobs),
            }
        }
    }

    async fn step(&self, place: Place<'_>, after: JobId) -> Result<Chunk> {
        let (store, queue, span) = (self.store, self.queue, (after, self.until));
        match (self.to, place) {
            (Some(to), Place::Ready(lane)) => store.move_ready((queue, to), lane, span).await,
            (Some(to), Place::Scheduled) => store.move_scheduled((queue, to), span).await,
            (Some(to), Place::Running) => store.move_running((queue, to), span).await,
            (None, Place::Ready(lane)) => store.clear_ready(queue, lane, span).await,
            (None, Place::Scheduled) => store.clear_scheduled(queue, span).await,
            (None, Place::Running) => Ok(Chunk::default()),
        }
    }
}

async fn clear(store: &Store, queue: String) -> Result<QueueClear> {
    let swept = Sweep::new(store, &queue, None).await?.run().await?;
    let (deleted, left) = (swept.waiting.unsigned_abs(), swept.left.unsigned_abs());
    Ok(QueueClear { queue, deleted, left })
}

async fn rename(store: &Store, from: String, to: String) -> Result<QueueRename> {
    // First the settings: jobs of a paused queue must not arrive in one that is not.
    store.copy_queue_settings(&from, &to).await?;
    let swept = Sweep::new(store, &from, Some(&to)).await?.run().await?;
    if swept.left == 0 && swept.kept.is_empty() {
        store.drop_queue_settings(&from).await?;
    }
    wake(store, to.clone()).await;
    let kept = swept.kept.into_iter();
    let kept = kept.map(|(id, holder)| KeptJob { id, holder: (holder != 0).then_some(holder) });
    Ok(QueueRename {
        from,
        to,
        waiting: swept.waiting.unsigned_abs(),
        running: swept.running.unsigned_abs(),
        kept: kept.collect(),
        left: swept.left.unsigned_abs(),
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: Serializer>(id: &JobId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn as_string_or_null<S: Serializer>(id: &Option<JobId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
