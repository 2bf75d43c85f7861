//! Options are read alike for every language, and what does not fit is named.
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use lavoro_bindings::{connect_options, new_job, new_jobs, outcome, schedule, worker_options};
use lavoro_core::{Error, ErrorKind, Outcome, QueueOptions};
use std::time::Duration;

/// The code and the message.
fn said<T>(answer: Result<T, Error>) -> (&'static str, String) {
    let error = answer.err().unwrap();
    (error.code(), error.message().to_owned())
}

#[test]
fn unknown_keys_are_named() {
    let (code, message) = said(new_job("t", b"null", br#"{"prio": 1}"#));
    assert_eq!(code, "invalid_option");
    assert!(message.starts_with("prio: unknown field `prio`, expected one of"), "{message}");
    let (_, message) = said(connect_options(br#"{"timing": {"lease": 1}}"#));
    assert!(message.starts_with("timing.lease: unknown field `lease`"), "{message}");
    let (_, message) = said(worker_options(br#"{"que": {}}"#));
    assert!(message.starts_with("que: unknown field `que`"), "{message}");
}

#[test]
fn values_of_the_wrong_type_are_named_by_their_key() {
    let (code, message) = said(new_job("t", b"null", br#"{"priority": "high"}"#));
    assert_eq!(code, "invalid_option");
    assert_eq!(message, "priority: invalid type: string \"high\", expected i32");
    let (code, message) = said(new_job("t", b"null", br#"{"run_at": "tomorrow"}"#));
    assert_eq!(code, "invalid_time");
    assert!(message.starts_with("run_at: "), "{message}");
    let (_, message) = said(new_job("t", b"null", br#"{"backoff": {"base_ms": -1}}"#));
    assert!(message.starts_with("backoff.base_ms: invalid value: integer `-1`"), "{message}");
    let (_, message) = said(worker_options(br#"{"queues": {"mail": "ten"}}"#));
    assert!(message.starts_with("queues.mail: a queue takes its slots"), "{message}");
    let (_, message) = said(worker_options(br#"{"listen": "here"}"#));
    assert!(message.starts_with("listen is \"here\""), "{message}");
}

#[test]
fn a_job_in_a_row_is_named_by_its_place() {
    let jobs = new_jobs(br#"[{"task": "t"}, {"payload": 1}]"#);
    assert_eq!(said(jobs), ("invalid_task", "[1].task: the job names no task".to_owned()));
    let (_, message) = said(new_jobs(br#"[{"task": "t"}, {"task": "t", "tags": 1}]"#));
    assert!(message.starts_with("[1].tags: "), "{message}");
}

#[test]
fn null_is_left_out_and_nothing_is_no_option() {
    assert!(new_job("t", b"1", b"").is_ok());
    assert!(new_job("t", b"1", br#"{"queue": null, "tags": null}"#).is_ok());
    assert_eq!(connect_options(b"").unwrap().pool_size, 4);
}

#[test]
fn a_worker_takes_slots_or_weights() {
    let json = br#"{"queues": {"mail": 3, "x-*": {"concurrency": 2, "weight": 5}}, "tasks": ["t"],
        "grace_ms": 1500, "timing": {"lease_ms": 60000}, "language": "python"}"#;
    let options = worker_options(json).unwrap();
    assert_eq!(options.queues["mail"], QueueOptions::from(3));
    assert_eq!(options.queues["x-*"], QueueOptions { concurrency: 2, weight: 5 });
    assert_eq!(options.grace, Duration::from_millis(1500));
    assert_eq!(options.timing.lease, Duration::from_mins(1));
    assert_eq!(options.timing.heartbeat, Duration::from_secs(3));
}

#[test]
fn outcomes_are_read() {
    let complete = outcome(br#"{"outcome": "complete", "result": {"a": 1}}"#).unwrap();
    let Outcome::Complete { result: Some(result) } = complete else { panic!("{complete:?}") };
    assert_eq!(result.as_str(), r#"{"a":1}"#);
    let retry = outcome(br#"{"outcome": "retry", "error": "e", "delay_ms": 5}"#).unwrap();
    assert_eq!(retry, Outcome::retry_in(Duration::from_millis(5), "e"));
    assert_eq!(outcome(br#"{"outcome": "release"}"#).unwrap(), Outcome::Release);
    assert_eq!(said(outcome(br#"{"outcome": "explode"}"#)).0, "invalid_option");
}

#[test]
fn schedules_take_their_policies_by_name() {
    let fields = |rest: &str| format!(r#"{{"name": "n", "task": "t", "every": "hour"{rest}}}"#);
    for rest in [
        "",
        r#", "missed": "skip", "overlap": "queue", "on_lost": "hold""#,
        r#", "missed": {"policy": "all", "within_ms": 1000, "limit": 3}, "overlap": "allow""#,
        r#", "options": {"queue": "q", "priority": 2}, "time_zone": "Europe/Rome""#,
    ] {
        assert!(schedule(fields(rest).as_bytes()).is_ok(), "{rest}");
    }
    let (code, message) = said(schedule(fields(r#", "overlap": "never""#).as_bytes()));
    assert_eq!(code, "invalid_option");
    assert_eq!(message, "overlap is \"never\": it takes skip, queue, allow");
    let (_, message) = said(schedule(fields(r#", "missed": "some""#).as_bytes()));
    assert!(message.starts_with("missed: missed takes skip, latest, all"), "{message}");
}

#[test]
fn payloads_keep_their_bytes_however_deep() {
    let deep = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    let json = format!(r#"[{{"task": "t", "payload": {deep}}}]"#);
    assert!(new_jobs(json.as_bytes()).is_ok());
    let error = new_job("t", b"null", br#"{"task": "u"}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}
