//! What was enqueued.

use crate::client::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobInfo, JobState};
use crate::store::JobFilter;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// Among how many of the newest jobs is looked.
const JOBS: u32 = 10_000;
/// How many jobs a failure lists.
const LISTED: usize = 20;
/// How many characters of a payload a failure shows.
const SHOWN: usize = 200;

/// Jobs of this task that wait: scheduled, available or retrying, whatever else they are.
pub fn enqueued(task: impl Into<String>) -> Expected {
    Expected {
        task: task.into(),
        queue: None,
        state: None,
        payload: None,
        unique_key: None,
        count: None,
    }
}

/// Fails the test unless such jobs are enqueued; answers them, newest first. The failure lists
/// what is enqueued instead.
///
/// # Panics
/// If there are none, or not as many as expected, or the database does not answer.
#[expect(clippy::panic, reason = "an assertion, for tests only")]
pub async fn assert_enqueued(lavoro: &Lavoro, expected: &Expected) -> Vec<JobInfo> {
    expected.find(lavoro).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Fails the test if such a job is enqueued.
///
/// # Panics
/// If there is one, or the database does not answer.
#[expect(clippy::panic, reason = "an assertion, for tests only")]
pub async fn refute_enqueued(lavoro: &Lavoro, unexpected: &Expected) {
    unexpected.find_none(lavoro).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Which jobs a test expects. Begins with [`enqueued`].
#[derive(Clone, Debug)]
#[must_use = "nothing is looked for before it is asserted"]
pub struct Expected {
    task: String,
    queue: Option<String>,
    state: Option<JobState>,
    payload: Option<Value>,
    unique_key: Option<String>,
    count: Option<usize>,
}

impl Expected {
    /// In this queue.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// In this state, which may also be one of those that have ended.
    pub fn state(mut self, state: JobState) -> Self {
        self.state = Some(state);
        self
    }

    /// With a payload that contains this one, as PostgreSQL's `@>` has it: an object contains
    /// another if it has its keys with values that contain the other's; an array contains
    /// another if each element of that is contained in one of its own; other values are equal.
    /// A value that cannot be written as JSON is expected as `null`.
    pub fn payload(mut self, part: impl Serialize) -> Self {
        self.payload = Some(serde_json::to_value(part).unwrap_or_default());
        self
    }

    /// With this unique key.
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Exactly so many of them. Default: at least one.
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// The jobs, newest first.
    ///
    /// # Errors
    /// `invalid_state` if there are none, or not as many as expected: the message lists what is
    /// enqueued instead, payloads included. Or what is wrong with the database.
    pub async fn find(&self, lavoro: &Lavoro) -> Result<Vec<JobInfo>> {
        let found = self.list(lavoro).await?;
        if self.count.map_or(!found.is_empty(), |count| count == found.len()) {
            return Ok(found);
        }
        let wanted = self.count.map_or_else(|| "at least 1".to_owned(), |count| count.to_string());
        let mut message = format!("expected {wanted} of {self}, found {}", found.len());
        let others = lavoro.list_jobs(JobFilter { limit: JOBS, ..JobFilter::default() }).await?;
        let waiting: Vec<&JobInfo> = others.iter().filter(|job| waits(job)).collect();
        list(&mut message, "enqueued are", &waiting);
        Err(Error::new(ErrorKind::InvalidState, message))
    }

    /// Makes sure that there are none; a count does not matter.
    ///
    /// # Errors
    /// `invalid_state` if there is one: the message lists them. Or what is wrong with the
    /// database.
    pub async fn find_none(&self, lavoro: &Lavoro) -> Result<()> {
        let found = self.list(lavoro).await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut message = format!("expected none of {self}, found {}", found.len());
        list(&mut message, "they are", &found.iter().collect::<Vec<_>>());
        Err(Error::new(ErrorKind::InvalidState, message))
    }

    async fn list(&self, lavoro: &Lavoro) -> Result<Vec<JobInfo>> {
        let filter = JobFilter {
            task: Some(self.task.clone()),
            queue: self.queue.clone(),
            state: self.state,
            limit: JOBS,
            ..JobFilter::default()
        };
        let mut jobs = lavoro.list_jobs(filter).await?;
        jobs.retain(|job| {
            (self.state.is_some() || waits(job))
                && self.payload.as_ref().is_none_or(|part| contains(&job.payload, part))
                && (self.unique_key.is_none() || self.unique_key == job.unique_key)
        });
        Ok(jobs)
    }
}

/// What was expected, on one line.
impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "task {:?}", self.task)?;
        if let Some(queue) = &self.queue {
            write!(f, " in queue {queue:?}")?;
        }
        match self.state {
            Some(state) => write!(f, ", {state}")?,
            None => f.write_str(", waiting")?,
        }
        if let Some(payload) = &self.payload {
            write!(f, ", whose payload contains {payload}")?;
        }
        if let Some(key) = &self.unique_key {
            write!(f, ", with unique key {key:?}")?;
        }
        Ok(())
    }
}

fn waits(job: &JobInfo) -> bool {
    matches!(job.state, JobState::Scheduled | JobState::Available | JobState::Retrying)
}

fn list(message: &mut String, title: &str, jobs: &[&JobInfo]) {
    if jobs.is_empty() {
        message.push_str("; nothing is enqueued");
        return;
    }
    let _ = write!(message, "; {title}:");
    for job in jobs.iter().take(LISTED) {
        let payload = job.payload.to_string();
        let shown: String = payload.chars().take(SHOWN).collect();
        let more = if shown.len() < payload.len() { "…" } else { "" };
        let (id, task, queue, state) = (job.id, &job.task, &job.queue, job.state);
        let _ =
            write!(message, "\n  {id}: task {task:?} in queue {queue:?}, {state}: {shown}{more}");
    }
    if jobs.len() > LISTED {
        let _ = write!(message, "\n  and {} more", jobs.len() - LISTED);
    }
}

/// Whether a JSON value contains another.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (Value::Number(whole), Value::Number(part)) => {
            whole == part || whole.as_f64() == part.as_f64()
        }
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use super::contains;
    use serde_json::json;

    #[test]
    fn containment_is_that_of_postgresql() {
        let whole = json!({"a": 1, "b": {"c": [1, 2, {"d": null}]}, "e": "x"});
        for part in [
            json!({}),
            json!({"a": 1.0}),
            json!({"b": {}}),
            json!({"b": {"c": [2]}}),
            json!({"b": {"c": [{"d": null}, 1, 1]}}),
            json!({"e": "x", "a": 1}),
        ] {
            assert!(contains(&whole, &part), "{part}");
        }
        for part in [
            json!(null),
            json!([]),
            json!({"a": 2}),
            json!({"a": "1"}),
            json!({"f": null}),
            json!({"b": {"c": [3]}}),
            json!({"e": {}}),
        ] {
            assert!(!contains(&whole, &part), "{part}");
        }
    }
}
