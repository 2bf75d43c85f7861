//! Workers as an operator sees them, and what they can run.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// Whether a worker lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It has shown itself within its lease.
    Alive,
    /// It has not: others may take its jobs.
    Silent,
    /// It has stopped, or was lost and its jobs were taken.
    Ended,
}

impl WorkerState {
    /// The state's name: `alive`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Ended => "ended",
        }
    }
}

impl std::fmt::Display for WorkerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a worker serves a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerQueue {
    /// How many of its jobs may run there at once.
    pub concurrency: u32,
    /// Its share beside the worker's other queues. 1 if the worker says nothing of it.
    pub weight: u32,
}

/// A worker as it stands in the database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerInfo {
    /// Its number, a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// The process it runs in.
    pub pid: u32,
    /// The language of its handlers.
    pub language: String,
    /// The version of Lavoro.
    pub version: String,
    /// Whether it lives.
    pub state: WorkerState,
    /// The queues it serves. A name that ends in `*` stands for all queues that begin alike.
    pub queues: BTreeMap<String, WorkerQueue>,
    /// The tasks it has handlers for.
    pub tasks: Vec<String>,
    /// When it started, by the server's clock.
    pub started_at: DateTime<Utc>,
    /// When it last showed that it lives, by the server's clock.
    pub beat_at: DateTime<Utc>,
    /// How long ago that was when it was looked up, in milliseconds.
    pub since_beat_ms: u64,
    /// When it ended, by the server's clock.
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it may be silent before others may take its jobs, in milliseconds.
    pub lease_ms: u32,
    /// How many jobs it may run at once: the sum over its queues.
    pub slots: u32,
    /// How many jobs it holds.
    pub running: u32,
    /// Whether one of them runs as a suspect.
    pub holds_suspect: bool,
    /// How long ago it took the oldest of them, in milliseconds.
    pub oldest_running_ms: Option<u64>,
}

impl WorkerInfo {
    /// Whether it has a handler for this task.
    #[must_use]
    pub fn handles(&self, task: &str) -> bool {
        self.tasks.iter().any(|own| own == task)
    }

    /// How it serves this queue, if it does: under its own name, else by the longest prefix.
    #[must_use]
    pub fn serves(&self, queue: &str) -> Option<(&str, WorkerQueue)> {
        let fitting = self.queues.iter().filter(|(pattern, _)| stands_for(pattern, queue));
        fitting
            .max_by_key(|(pattern, _)| (pattern.as_str() == queue, pattern.len()))
            .map(|(pattern, how)| (pattern.as_str(), *how))
    }
}

/// Whether a worker's queue `pattern` takes in `queue`.
pub(crate) fn stands_for(pattern: &str, queue: &str) -> bool {
    pattern == queue || pattern.strip_suffix('*').is_some_and(|begin| queue.starts_with(begin))
}

/// Reads the column `worker.queues`: `{"name": {"concurrency": n, "weight": n}}`, or the number
/// alone, as older workers write it.
pub(crate) fn read_queues(json: &serde_json::Value) -> BTreeMap<String, WorkerQueue> {
    let whole = |value: &serde_json::Value| {
        value.as_u64().map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    let read = |how: &serde_json::Value| match how {
        serde_json::Value::Object(how) => WorkerQueue {
            concurrency: how.get("concurrency").map_or(0, whole),
            weight: how.get("weight").map_or(1, whole),
        },
        number => WorkerQueue { concurrency: whole(number), weight: 1 },
    };
    json.as_object()
        .map(|queues| queues.iter().map(|(name, how)| (name.clone(), read(how))).collect())
        .unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: serde::Serializer>(
    id: &i64,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A worker that lives and holds nothing.
    pub(crate) fn worker(id: i64, queues: &serde_json::Value, tasks: &[&str]) -> WorkerInfo {
        let queues = read_queues(queues);
        WorkerInfo {
            since_beat_ms: 0,
            id,
            name: format!("w{id}"),
            host: "h".to_owned(),
            pid: u32::try_from(id).unwrap(),
            language: "rust".to_owned(),
            version: "0".to_owned(),
            state: WorkerState::Alive,
            slots: queues.values().map(|how| how.concurrency).sum(),
            queues,
            tasks: tasks.iter().map(ToString::to_string).collect(),
            started_at: DateTime::UNIX_EPOCH,
            beat_at: DateTime::UNIX_EPOCH,
            ended_at: None,
            lease_ms: 15_000,
            running: 0,
            holds_suspect: false,
            oldest_running_ms: None,
        }
    }

    #[test]
    fn both_shapes_of_the_column_are_read() {
        let queues = read_queues(&json!({"a": 3, "b*": {"concurrency": 2, "weight": 5}}));
        assert_eq!(queues["a"], WorkerQueue { concurrency: 3, weight: 1 });
        assert_eq!(queues["b*"], WorkerQueue { concurrency: 2, weight: 5 });
        assert!(read_queues(&json!(null)).is_empty());
    }

    #[test]
    fn a_queue_is_served_under_its_own_name_first_and_then_by_the_longest_prefix() {
        let queues = json!({"mail": 1, "mail*": 2, "mail.big*": 3, "m": 4});
        let worker = worker(1, &queues, &["t"]);
        for (queue, expected) in
            [("mail", Some(1)), ("mails", Some(2)), ("mail.big.x", Some(3)), ("x", None)]
        {
            let served = worker.serves(queue).map(|(_, how)| how.concurrency);
            assert_eq!(served, expected, "{queue}");
        }
        assert!(worker.handles("t") && !worker.handles("tt"));
    }
}
