//! How a worker works.

use crate::connect::{TimingFields, or};
use crate::parse::{BackoffFields, Millis, parse};
use lavoro_core::{Error, ErrorKind, QueueOptions, Result, WorkerOptions};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// How a worker works: `name`, `queues` (an object of slots by name, or of `{"concurrency",
/// "weight"}` by name), `concurrency`, `tasks`, `continue_on_lost_contact`, `backoff` (by task;
/// see [`new_job`](crate::new_job)), `grace_ms`, `language`, `timing` (see
/// [`connect_options`](crate::connect_options)), `maintenance`, `listen` (`127.0.0.1:9100`),
/// `stuck_after_ms`. See [`WorkerOptions`] for each.
///
/// # Errors
/// `invalid_option`, naming the key. What is out of its limits is said when the worker starts.
pub fn worker_options(json: &[u8]) -> Result<WorkerOptions> {
    parse::<WorkerFields>(json)?.into_options()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerFields {
    name: Option<String>,
    queues: Option<BTreeMap<String, QueueFields>>,
    concurrency: Option<u32>,
    tasks: Option<Vec<String>>,
    continue_on_lost_contact: Option<Vec<String>>,
    backoff: Option<HashMap<String, BackoffFields>>,
    grace_ms: Option<Millis>,
    language: Option<String>,
    timing: Option<TimingFields>,
    maintenance: Option<bool>,
    listen: Option<String>,
    stuck_after_ms: Option<Millis>,
}

/// Slots alone, or with a weight.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a queue takes its slots, or {\"concurrency\", \"weight\"}")]
enum QueueFields {
    Slots(u32),
    Options(Weighted),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    concurrency: u32,
    weight: Option<u32>,
}

impl From<QueueFields> for QueueOptions {
    fn from(fields: QueueFields) -> Self {
        match fields {
            QueueFields::Slots(slots) => slots.into(),
            QueueFields::Options(Weighted { concurrency, weight }) => {
                Self { concurrency, weight: weight.unwrap_or(1) }
            }
        }
    }
}

impl WorkerFields {
    fn into_options(self) -> Result<WorkerOptions> {
        let defaults = WorkerOptions::default();
        let listen = self.listen.map(|address| {
            address.parse().map_err(|_| {
                let message = format!("listen is {address:?}: it takes an address and a port");
                Error::new(ErrorKind::InvalidOption, message)
            })
        });
        let backoff = self.backoff.unwrap_or_default().into_iter();
        Ok(WorkerOptions {
            name: self.name,
            queues: self.queues.map_or(defaults.queues, |queues| {
                queues.into_iter().map(|(name, queue)| (name, queue.into())).collect()
            }),
            concurrency: self.concurrency,
            tasks: self.tasks.unwrap_or_default(),
            continue_on_lost_contact: self.continue_on_lost_contact.unwrap_or_default(),
            backoff: backoff.map(|(task, backoff)| (task, backoff.into())).collect(),
            grace: or(self.grace_ms, defaults.grace),
            language: self.language.unwrap_or(defaults.language),
            timing: self.timing.map_or(defaults.timing, Into::into),
            maintenance: self.maintenance.unwrap_or(defaults.maintenance),
            listen: listen.transpose()?,
            stuck_after: or(self.stuck_after_ms, defaults.stuck_after),
        })
    }
}
