//! Everything that is not called often, by name: JSON in, JSON out.

mod jobs;
mod queues;
mod schedules;
mod system;

pub use system::migrate;

use futures_util::future::BoxFuture;
use lavoro_core::{Error, ErrorKind, Lavoro, Result};

type Run = for<'a> fn(&'a Lavoro, &'a [u8]) -> BoxFuture<'a, Result<String>>;

/// A call that every language offers.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name: `queues.pause`.
    pub name: &'static str,
    /// The keys of the object that it takes, separated by spaces; those that may be left out
    /// end in `?`. `filter` and `edit` are objects.
    pub takes: &'static str,
    /// What it answers.
    pub answers: &'static str,
    run: Run,
}

/// Calls a method by its name, with its arguments as a JSON object, and answers JSON.
///
/// Safe from any thread and executor. If the future is dropped, what it asked for may happen.
///
/// # Errors
/// `invalid_option` if there is no such method or an argument does not fit; else as the method
/// of [`Lavoro`] that is behind it.
pub async fn call(lavoro: &Lavoro, method: &str, arguments: &[u8]) -> Result<String> {
    let found = METHODS.iter().find(|known| known.name == method);
    let found = found.ok_or_else(|| {
        Error::new(ErrorKind::InvalidOption, format!("there is no method {method:?}"))
    })?;
    (found.run)(lavoro, arguments).await
}

macro_rules! methods {
    ($($name:literal ($takes:literal) -> $answers:literal = $function:path;)*) => {
        /// Every method of [`call`].
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            takes: $takes,
            answers: $answers,
            run: |lavoro, arguments| Box::pin($function(lavoro, arguments)),
        },)*];
    };
}

methods! {
    "job.info" ("id") -> "the job" = jobs::info;
    "job.state" ("id") -> "{state}" = jobs::state;
    "job.result" ("id timeout_ms?") -> "{state, result, error}" = jobs::result;
    "job.why" ("id") -> "{state, reason, message, …}" = jobs::why;
    "job.logs" ("id after? limit?") -> "[{id, logged_at, attempt, line}]" = jobs::logs;
    "job.cancel" ("id") -> "{state}: `running` if it was asked to stop" = jobs::cancel;
    "job.retry" ("id") -> "null" = jobs::retry;
    "job.delete" ("id") -> "null" = jobs::delete;
    "job.edit" ("id edit") -> "null" = jobs::edit;
    "jobs.page" ("filter?") -> "{jobs, next}" = jobs::page;
    "jobs.list" ("filter?") -> "[the job]" = jobs::list;
    "jobs.count" ("filter?") -> "a number" = jobs::count;
    "jobs.cancel" ("filter?") -> "{matched, changed, skipped}" = jobs::cancel_all;
    "jobs.retry" ("filter?") -> "{matched, changed, skipped}" = jobs::retry_all;
    "jobs.delete" ("filter?") -> "{matched, changed, skipped}" = jobs::delete_all;
    "jobs.edit" ("filter? edit") -> "{matched, changed, skipped}" = jobs::edit_all;
    "queues.list" ("") -> "[{name, …}]" = queues::list;
    "queues.pause" ("queue") -> "null" = queues::pause;
    "queues.resume" ("queue") -> "null" = queues::resume;
    "queues.rename" ("from to") -> "{from, to, waiting, running, kept, left}" = queues::rename;
    "queues.clear" ("queue") -> "{queue, deleted, left}" = queues::clear;
    "schedules.declare" ("a schedule") -> "null" = schedules::declare;
    "schedules.add" ("a schedule") -> "null" = schedules::add;
    "schedules.replace" ("a schedule") -> "{created}" = schedules::replace;
    "schedules.preview" ("a schedule, and after? count?") -> "[an instant]" = schedules::preview;
    "schedules.list" ("") -> "[{name, …}]" = schedules::list;
    "schedules.show" ("name") -> "{name, …}" = schedules::show;
    "schedules.slots" ("name limit?") -> "[{slot, decision, …}]" = schedules::slots;
    "schedules.pause" ("name") -> "null" = schedules::pause;
    "schedules.resume" ("name") -> "null" = schedules::resume;
    "schedules.run" ("name") -> "{id}" = schedules::run;
    "schedules.remove" ("name") -> "{removed}" = schedules::remove;
    "locks.list" ("") -> "[{name, owner, …}]" = system::locks;
    "locks.force_release" ("name") -> "{owner}: null if nobody held it" = system::force_release;
    "workers.list" ("all?") -> "[{id, name, …}]" = system::workers;
    "unhandled" ("") -> "[{queue, task, …}]" = system::unhandled;
    "statistics" ("window_ms?") -> "[{queue, …}]" = system::statistics;
    "metrics" ("window_ms?") -> "{text}" = system::metrics;
    "retention.list" ("") -> "[{task, completed_ms, …}]" = system::retention;
    "retention.set" ("task? completed_ms? cancelled_ms? discarded_ms?") -> "null"
        = system::set_retention;
    "retention.remove" ("task?") -> "{removed}" = system::remove_retention;
    "diagnose" ("") -> "[{check, status, message, …}]" = system::diagnose;
    "enqueue_sql" ("task payload? options?") -> "{text, parameters}" = jobs::enqueue_sql;
}
