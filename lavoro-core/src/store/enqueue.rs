//! Enqueueing.

use super::Store;
use crate::error::Result;
use crate::job::JobId;
use crate::new_job::{CheckedJob, Due, Enqueued};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// How many jobs one pack holds at most.
const PACK_JOBS: usize = 64;
/// How many bytes of payload one pack holds at most, unless its only job is larger: claims are
/// bounded by bytes in steps of packs.
const PACK_BYTES: usize = 256 << 10;

/// Jobs of one statement, as columns.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    queue: Vec<String>,
    task: Vec<String>,
    priority: Vec<i32>,
    delay_ms: Sparse<i64>,
    run_at: Sparse<DateTime<Utc>>,
    max_attempts: Vec<i16>,
    timeout_ms: Sparse<i32>,
    backoff: Sparse<String>,
    metadata: Sparse<String>,
    tags: Sparse<String>,
    payload: Vec<String>,
    bytes: Vec<i32>,
    pack: Vec<i32>,
    expires_ms: Sparse<i64>,
    expires_at: Sparse<DateTime<Utc>>,
    on_discarded: Sparse<String>,
}

/// A column that few jobs use: it ends with the last that does, and the server fills it up.
#[derive(Debug)]
struct Sparse<T>(Vec<Option<T>>);

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Sparse<T> {
    /// Sets the value of the job at `place`.
    fn set(&mut self, place: usize, value: Option<T>) {
        if value.is_some() {
            self.0.resize_with(place, || None);
            self.0.push(value);
        }
    }

    /// The value of the first job.
    fn first(&self) -> Option<&T> {
        self.0.first().and_then(Option::as_ref)
    }
}

/// What a job must share with another to lie in one pack with it.
#[derive(PartialEq, Eq, Hash)]
struct Lane<'a> {
    queue: &'a str,
    task: &'a str,
    priority: i32,
    delay_ms: Option<i64>,
    run_at: Option<DateTime<Utc>>,
}

/// The pack of a lane that is being filled.
struct Filling {
    pack: i32,
    jobs: usize,
    bytes: usize,
}

impl Batch {
    /// Lays jobs without unique keys out for one statement, in their order.
    pub(crate) fn new<'a>(jobs: impl Iterator<Item = &'a CheckedJob>) -> Self {
        let mut batch = Self::default();
        let mut filling: HashMap<Lane<'a>, Filling> = HashMap::new();
        let mut packs = 0;
        for job in jobs {
            let (delay_ms, run_at) = due(job.due);
            let lane = Lane {
                queue: &job.queue,
                task: &job.task,
                priority: job.priority,
                delay_ms,
                run_at,
            };
            let size = job.payload.size();
            let open = filling.entry(lane).or_insert(Filling { pack: -1, jobs: 0, bytes: 0 });
            if open.pack < 0 || open.jobs == PACK_JOBS || open.bytes + size > PACK_BYTES {
                *open = Filling { pack: packs, jobs: 0, bytes: 0 };
                packs += 1;
            }
            open.jobs += 1;
            open.bytes += size;
            batch.pack.push(open.pack);
            batch.push(job, delay_ms, run_at);
        }
        batch
    }

    fn push(&mut self, job: &CheckedJob, delay_ms: Option<i64>, run_at: Option<DateTime<Utc>>) {
        self.queue.push(job.queue.clone());
        self.task.push(job.task.clone());
        self.priority.push(job.priority);
        self.max_attempts.push(job.max_attempts.try_into().unwrap_or(i16::MAX));
        self.payload.push(job.payload.as_str().to_owned());
        self.bytes.push(job.payload.size().try_into().unwrap_or(i32::MAX));
        let (expires_ms, expires_at) = expiry(job.expiry);
        let place = self.bytes.len() - 1;
        let timeout = job.timeout.map(|t| t.as_millis().try_into().unwrap_or(i32::MAX));
        let tags = (!job.tags.is_empty()).then(|| serde_json::json!(job.tags).to_string());
        self.delay_ms.set(place, delay_ms);
        self.run_at.set(place, run_at);
        self.timeout_ms.set(place, timeout);
        self.backoff.set(place, job.backoff.as_ref().map(backoff_json));
        self.metadata.set(place, job.metadata.as_ref().map(|json| json.as_str().to_owned()));
        self.tags.set(place, tags);
        self.expires_ms.set(place, expires_ms);
        self.expires_at.set(place, expires_at);
        self.on_discarded.set(place, job.on_discarded.clone());
    }

    /// How many jobs it holds.
    pub(crate) fn len(&self) -> usize {
        self.pack.len()
    }
}

fn due(due: Due) -> (Option<i64>, Option<DateTime<Utc>>) {
    match due {
        Due::In(delay) => ((delay > 0).then_some(delay), None),
        Due::At(at) => (None, Some(at)),
        Due::Now | Due::Both => (None, None),
    }
}

/// As [`due`], of the end of a job's time to begin: one that is over stays one.
fn expiry(expiry: Due) -> (Option<i64>, Option<DateTime<Utc>>) {
    match expiry {
        Due::In(lifetime) => (Some(lifetime), None),
        other => due(other),
    }
}

pub(super) fn backoff_json(backoff: &crate::retry::Backoff) -> String {
    serde_json::json!(backoff).to_string()
}

/// What a batch was given.
#[derive(Debug)]
pub(crate) struct BatchAnswer {
    /// The ids in the jobs' order; `None` if this batch had been applied before.
    pub(crate) ids: Option<Vec<JobId>>,
    /// Whether a worker somewhere waits for a wake-up.
    pub(crate) idle: bool,
}

/// What a keyed job was given.
#[derive(Debug)]
pub(crate) struct KeyedAnswer {
    pub(crate) enqueued: Enqueued,
    pub(crate) idle: bool,
}

impl Store {
    /// Makes a producer's row, unless it exists.
    pub(crate) async fn open_producer(&self, producer: Uuid) -> Result<()> {
        let query = self.query(&self.sql.producer_open).bind(producer);
        self.execute(query).await
    }

    /// The last batch that was applied for a producer, and the ids it was given.
    pub(crate) async fn last_batch(&self, producer: Uuid) -> Result<Option<(i64, Vec<JobId>)>> {
        let query = self.query(&self.sql.producer_last).bind(producer);
        let rows = self.fetch_all(query).await?;
        Ok(rows.first().map(|row| (row.get("seq"), row.get("ids"))))
    }

    /// Enqueues a batch under a producer's next number, in a transaction of its own.
    pub(crate) async fn enqueue(
        &self,
        producer: Uuid,
        seq: i64,
        batch: &Batch,
    ) -> Result<BatchAnswer> {
        let query = self.enqueue_query(producer, seq, true, batch);
        let row = self.fetch_one(query).await?;
        Ok(BatchAnswer { ids: row.get("ids"), idle: row.get("idle") })
    }

    /// Enqueues batches in one transaction under consecutive numbers from `seq`. `done` gets
    /// the ids of each batch as it is sent, before the commit.
    pub(crate) async fn enqueue_all(
        &self,
        producer: Uuid,
        seq: i64,
        batches: &[Batch],
        done: &mut Vec<Vec<JobId>>,
    ) -> Result<bool> {
        done.clear();
        let mut idle = false;
        let mut transaction = self.begin().await?;
        for (seq, batch) in (seq..).zip(batches) {
            let query = self.enqueue_query(producer, seq, false, batch);
            let row = transaction.fetch_one(query).await?;
            let ids: Option<Vec<JobId>> = row.get("ids");
            done.push(ids.unwrap_or_default());
            idle = row.get("idle");
        }
        transaction.commit().await?;
        Ok(idle)
    }

    fn enqueue_query(
        &self,
        producer: Uuid,
        seq: i64,
        keep_ids: bool,
        batch: &Batch,
    ) -> super::Query {
        if batch.len() == 1 {
            return self.enqueue_lone_query(producer, seq, batch);
        }
        let mut columns = PgArguments::default();
        // Encoding cannot fail: the columns are plain vectors of numbers and text.
        let encoded = columns
            .add(producer)
            .and_then(|()| columns.add(seq))
            .and_then(|()| columns.add(keep_ids))
            .and_then(|()| columns.add(&batch.queue))
            .and_then(|()| columns.add(&batch.task))
            .and_then(|()| columns.add(&batch.priority))
            .and_then(|()| columns.add(&batch.delay_ms.0))
            .and_then(|()| columns.add(&batch.run_at.0))
            .and_then(|()| columns.add(&batch.max_attempts))
            .and_then(|()| columns.add(&batch.timeout_ms.0))
            .and_then(|()| columns.add(&batch.backoff.0))
            .and_then(|()| columns.add(&batch.metadata.0))
            .and_then(|()| columns.add(&batch.tags.0))
            .and_then(|()| columns.add(&batch.payload))
            .and_then(|()| columns.add(&batch.bytes))
            .and_then(|()| columns.add(&batch.pack))
            .and_then(|()| columns.add(&batch.expires_ms.0))
            .and_then(|()| columns.add(&batch.expires_at.0))
            .and_then(|()| columns.add(&batch.on_discarded.0));
        debug_assert!(encoded.is_ok());
        self.query_with(&self.sql.enqueue, columns)
    }

    /// The same for a batch of one job.
    fn enqueue_lone_query(&self, producer: Uuid, seq: i64, batch: &Batch) -> super::Query {
        self.query(&self.sql.enqueue_lone)
            .bind(producer)
            .bind(seq)
            .bind(batch.payload.first().cloned())
            .bind(batch.bytes.first().copied())
            .bind(batch.queue.first().cloned())
            .bind(batch.task.first().cloned())
            .bind(batch.priority.first().copied())
            .bind(batch.delay_ms.first().copied())
            .bind(batch.run_at.first().copied())
            .bind(batch.max_attempts.first().copied())
            .bind(batch.timeout_ms.first().copied())
            .bind(batch.backoff.first().cloned())
            .bind(batch.metadata.first().cloned())
            .bind(batch.tags.first().cloned())
            .bind(batch.expires_ms.first().copied())
            .bind(batch.expires_at.first().copied())
            .bind(batch.on_discarded.first().cloned())
    }

    /// A number for a new job.
    pub(crate) async fn job_number(&self) -> Result<JobId> {
        let row = self.fetch_one(self.query(&self.sql.job_number)).await?;
        Ok(row.get("id"))
    }

    /// Enqueues one job with a unique key. Sent again with the same number, it finds its own job.
    pub(crate) async fn enqueue_keyed(
        &self,
        number: JobId,
        job: &CheckedJob,
    ) -> Result<KeyedAnswer> {
        let query = bind_job(self.query(&self.sql.enqueue_keyed).bind(number), job);
        let row = self.fetch_one(query).await?;
        Ok(KeyedAnswer {
            enqueued: Enqueued { id: row.get("id"), created: row.get("created") },
            idle: row.get("idle"),
        })
    }
}

/// A job as text for `enqueue_call.sql`.
pub(super) fn text_parameters(job: &CheckedJob) -> Vec<Option<String>> {
    let (delay_ms, run_at) = due(job.due);
    let (expires_ms, expires_at) = expiry(job.expiry);
    vec![
        Some(job.task.clone()),
        Some(job.payload.as_str().to_owned()),
        Some(job.queue.clone()),
        Some(job.priority.to_string()),
        run_at.map(|at| at.to_rfc3339()),
        delay_ms.map(|ms| ms.to_string()),
        Some(job.max_attempts.to_string()),
        job.unique_key.clone(),
        job.timeout.map(|timeout| timeout.as_millis().to_string()),
        job.backoff.as_ref().map(backoff_json),
        (!job.tags.is_empty()).then(|| serde_json::json!(job.tags).to_string()),
        job.metadata.as_ref().map(|json| json.as_str().to_owned()),
        expires_ms.map(|ms| ms.to_string()),
        expires_at.map(|at| at.to_rfc3339()),
        job.on_discarded.clone(),
    ]
}

/// Binds a job as the SQL functions take it.
pub(super) fn bind_job(query: super::Query, job: &CheckedJob) -> super::Query {
    let (delay_ms, run_at) = due(job.due);
    let (expires_ms, expires_at) = expiry(job.expiry);
    query
        .bind(job.task.clone())
        .bind(job.payload.as_str().to_owned())
        .bind(job.queue.clone())
        .bind(job.priority)
        .bind(run_at)
        .bind(delay_ms)
        .bind(i32::try_from(job.max_attempts).unwrap_or(i32::MAX))
        .bind(job.unique_key.clone())
        .bind(job.timeout.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX)))
        .bind(job.backoff.as_ref().map(backoff_json))
        .bind((!job.tags.is_empty()).then(|| job.tags.clone()))
        .bind(job.metadata.as_ref().map(|json| json.as_str().to_owned()))
        .bind(expires_ms)
        .bind(expires_at)
        .bind(job.on_discarded.clone())
}
