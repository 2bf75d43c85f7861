//! Each verdict, and which of two comes first.

use super::{Facts, Holder, Load, Reason, Why};
use crate::fleet::tests::worker;
use crate::fleet::{WorkerInfo, WorkerState};
use crate::job::{JobError, JobInfo, JobState};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

/// A job that may run now, with one idle worker for it: nothing is in its way.
fn facts() -> Facts {
    Facts {
        now: now(),
        job: JobInfo {
            timeout_ms: None,
            id: 7,
            task: "t".to_owned(),
            queue: "mail".to_owned(),
            state: JobState::Available,
            priority: 0,
            attempt: 0,
            max_attempts: 20,
            run_at: ago(60),
            created_at: ago(60),
            started_at: None,
            finished_at: None,
            worker: None,
            payload: json!({"secret": "never shown"}),
            result: None,
            errors: Vec::new(),
            tags: Vec::new(),
            metadata: None,
            unique_key: None,
            progress: None,
            expires_at: None,
            on_discarded: None,
        },
        paused_at: None,
        cancel_at: None,
        key_holder: None,
        suspect: false,
        due_at: None,
        ahead: 0,
        ahead_at_least: false,
        holder: None,
        workers: vec![worker(1, &json!({"mail": 2}), &["t"])],
        loads: Vec::new(),
    }
}

fn error(kind: &str) -> JobError {
    JobError {
        attempt: 1,
        kind: kind.to_owned(),
        message: "boom\nmore".to_owned(),
        counted: true,
        failed_at: ago(5),
    }
}

/// What a change to the facts makes of the verdict: its stable name.
fn verdict(change: impl FnOnce(&mut Facts)) -> String {
    let why = judged(change);
    let json = serde_json::to_value(&why).unwrap();
    assert_eq!(json["id"], "7");
    assert!(!why.message.is_empty() && !why.message.contains("secret"), "{why:?}");
    json["reason"].as_str().unwrap().to_owned()
}

fn judged(change: impl FnOnce(&mut Facts)) -> Why {
    let mut facts = facts();
    change(&mut facts);
    facts.judge()
}

fn ended(facts: &mut Facts) {
    facts.job.state = JobState::Discarded;
    facts.job.finished_at = Some(ago(10));
    facts.job.errors = vec![error("failed")];
}

fn running(facts: &mut Facts) {
    facts.job.state = JobState::Running;
    facts.job.worker = Some("w1".to_owned());
    facts.job.started_at = Some(ago(30));
    let lease = Duration::from_secs(15);
    facts.holder = Some(Holder { beat_at: Some(ago(1)), lease, ended: false });
}

fn silence(facts: &mut Facts, seconds: i64) {
    facts.holder.as_mut().unwrap().beat_at = Some(ago(seconds));
}

fn key_held(facts: &mut Facts) {
    facts.job.unique_key = Some("k".to_owned());
    facts.key_holder = Some(9);
}

fn due(facts: &mut Facts, seconds: i64) {
    facts.job.state = JobState::Scheduled;
    facts.due_at = Some(ago(-seconds));
}

fn full(worker: &mut WorkerInfo) -> Load {
    worker.running = 2;
    worker.oldest_running_ms = Some(4000);
    Load { worker: worker.id, queue: "mail".to_owned(), running: 2 }
}

fn all_full(facts: &mut Facts) {
    facts.loads = facts.workers.iter_mut().map(full).collect();
}

#[test]
fn nothing_is_in_its_way() {
    assert_eq!(verdict(|_| ()), "about_to_be_claimed");
}

#[test]
fn a_job_that_has_ended() {
    assert_eq!(verdict(ended), "ended");
    assert!(judged(ended).message.contains("boom"), "{}", judged(ended).message);
    let held = |facts: &mut Facts| {
        ended(facts);
        key_held(facts);
    };
    assert_eq!(verdict(held), "unique_key");
    assert!(judged(held).message.contains("job 9"));
    let expired = |facts: &mut Facts| {
        ended(facts);
        facts.job.state = JobState::Cancelled;
        facts.job.errors.push(error("expired"));
    };
    assert_eq!(verdict(expired), "expired");
    // A key that nobody else holds is no obstacle, nor is one while the job waits.
    assert_eq!(verdict(key_held), "about_to_be_claimed");
}

#[test]
fn a_job_that_runs() {
    assert_eq!(verdict(running), "running");
    let cancelled = |facts: &mut Facts| {
        running(facts);
        facts.cancel_at = Some(ago(2));
    };
    assert_eq!(verdict(cancelled), "cancel_requested");
    for seconds in [8, 20] {
        let lost = judged(|facts| {
            cancelled(facts);
            silence(facts, seconds);
        });
        let rescue = ago(seconds - 15);
        let Reason::LostWorker { rescue_at, rescuers: 1, .. } = lost.reason else {
            panic!("{lost:?}")
        };
        assert_eq!(rescue_at, rescue);
        assert_eq!(lost.message.contains("are about to"), seconds == 20, "{}", lost.message);
    }
    let nobody = judged(|facts| {
        running(facts);
        silence(facts, 20);
        facts.workers.clear();
    });
    assert!(nobody.message.contains("no worker lives"), "{}", nobody.message);
    let unknown = |facts: &mut Facts| {
        running(facts);
        facts.holder.as_mut().unwrap().beat_at = None;
    };
    assert_eq!(verdict(unknown), "lost_worker");
}

#[test]
fn a_job_whose_time_has_not_come() {
    assert_eq!(verdict(|facts| due(facts, 60)), "scheduled");
    let retrying = judged(|facts| {
        due(facts, 60);
        facts.job.state = JobState::Retrying;
        facts.job.attempt = 3;
        facts.job.errors = vec![error("failed")];
    });
    assert!(matches!(retrying.reason, Reason::Retrying { attempt: 3, max_attempts: 20, .. }));
    assert!(retrying.message.contains("3 of 20") && retrying.message.contains("boom"));
    assert!(!retrying.message.contains("more"), "one line: {}", retrying.message);
    // Time comes before everything else that is in the way.
    let paused = |facts: &mut Facts| {
        due(facts, 60);
        facts.paused_at = Some(ago(1));
        facts.workers.clear();
    };
    assert_eq!(verdict(paused), "scheduled");
}

#[test]
fn a_job_that_nobody_promotes() {
    assert_eq!(verdict(|facts| due(facts, -1)), "not_promoted");
    for (late, workers, words) in
        [(1, 1, "about to"), (9, 1, "without maintenance"), (1, 0, "no worker lives")]
    {
        let why = judged(|facts| {
            due(facts, -late);
            facts.workers.truncate(workers);
        });
        assert!(why.message.contains(words), "{}", why.message);
    }
}

#[test]
fn a_job_that_expired_before_it_began() {
    let expired = |facts: &mut Facts| {
        facts.job.expires_at = Some(ago(1));
        facts.paused_at = Some(ago(9));
        due(facts, 60);
    };
    assert_eq!(verdict(expired), "expired");
    let begun = |facts: &mut Facts| {
        facts.job.expires_at = Some(ago(1));
        facts.job.attempt = 1;
    };
    assert_eq!(verdict(begun), "about_to_be_claimed");
}

#[test]
fn a_job_without_a_worker() {
    assert_eq!(verdict(|facts| facts.workers.clear()), "no_worker");
    assert_eq!(verdict(|facts| facts.workers[0].state = WorkerState::Silent), "no_worker");
    let other = |facts: &mut Facts| facts.workers[0].tasks = vec!["u".to_owned()];
    assert_eq!(verdict(other), "no_worker_for_task");
    assert!(judged(other).message.contains("\"u\""));
    let elsewhere = |facts: &mut Facts| facts.job.queue = "post".to_owned();
    assert_eq!(verdict(elsewhere), "no_worker_for_queue");
    let prefix = |facts: &mut Facts| {
        facts.job.queue = "post.1".to_owned();
        facts.workers = vec![worker(1, &json!({"post*": {"concurrency": 1}}), &["t"])];
    };
    assert_eq!(verdict(prefix), "about_to_be_claimed");
    // One has the task and another the queue: neither can take it.
    let apart = |facts: &mut Facts| {
        facts.workers.push(worker(2, &json!({"post": 1}), &["u"]));
        facts.job.queue = "post".to_owned();
    };
    assert_eq!(verdict(apart), "no_worker_for_queue");
    let paused = |facts: &mut Facts| {
        facts.workers.clear();
        facts.paused_at = Some(ago(1));
    };
    assert_eq!(verdict(paused), "paused_queue");
}

#[test]
fn a_job_whose_workers_are_busy() {
    let why = judged(all_full);
    let Reason::Busy { workers, oldest_running_ms: Some(4000) } = &why.reason else {
        panic!("{why:?}")
    };
    assert_eq!((workers[0].running, workers[0].slots), (2, 2));
    assert!(why.message.contains("1 worker that") && why.message.contains("4 s"), "{why:?}");
    // Slots of another queue are no obstacle, unless the worker has no others.
    let another = |facts: &mut Facts| {
        facts.workers = vec![worker(1, &json!({"mail": 2, "x": 2}), &["t"])];
        facts.workers[0].running = 2;
        facts.loads = vec![Load { worker: 1, queue: "x".to_owned(), running: 2 }];
    };
    assert_eq!(verdict(another), "about_to_be_claimed");
    let second = |facts: &mut Facts| {
        all_full(facts);
        facts.workers.push(worker(2, &json!({"mail": 1}), &["t"]));
        facts.ahead = 3;
    };
    assert_eq!(verdict(second), "behind");
    let both = |facts: &mut Facts| {
        all_full(facts);
        facts.ahead = 3;
    };
    assert_eq!(verdict(both), "busy");
}

#[test]
fn a_suspect_waits_for_a_process_of_its_own() {
    let suspect = |facts: &mut Facts| {
        facts.suspect = true;
        facts.ahead = 2;
        facts.workers[0].holds_suspect = true;
    };
    assert_eq!(verdict(suspect), "suspect");
    // Another worker of the same process does not help, one of another process does.
    let twin = |facts: &mut Facts| {
        suspect(facts);
        let mut twin = worker(2, &json!({"mail": 2}), &["t"]);
        twin.pid = facts.workers[0].pid;
        facts.workers.push(twin);
    };
    assert_eq!(verdict(twin), "suspect");
    let other = |facts: &mut Facts| {
        suspect(facts);
        facts.workers.push(worker(2, &json!({"mail": 2}), &["t"]));
    };
    assert_eq!(verdict(other), "behind");
    let busy = |facts: &mut Facts| {
        suspect(facts);
        all_full(facts);
    };
    assert_eq!(verdict(busy), "busy");
}

#[test]
fn a_job_behind_others() {
    let why = judged(|facts| (facts.ahead, facts.ahead_at_least) = (1000, true));
    assert_eq!(why.reason, Reason::Behind { jobs: 1000, at_least: true });
    assert!(why.message.contains("at least 1000 jobs"), "{}", why.message);
    let one = judged(|facts| facts.ahead = 1);
    assert!(one.message.contains(" 1 job of") && one.message.contains("comes first"), "{one:?}");
}
