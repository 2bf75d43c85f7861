//! Every method can be called by its name, and answers what it says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use lavoro_bindings::{METHODS, call, event_json, job_json, new_job, worker_options};
use lavoro_core::{Finish, Lavoro, Outcome, PullWorker};
use lavoro_tests::Database;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

async fn ask(lavoro: &Lavoro, method: &str, arguments: Value) -> Value {
    let answer = call(lavoro, method, arguments.to_string().as_bytes()).await;
    serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{method}: {error}"))).unwrap()
}

async fn code(lavoro: &Lavoro, method: &str, arguments: Value) -> &'static str {
    call(lavoro, method, arguments.to_string().as_bytes()).await.unwrap_err().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_to_its_end() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = new_job("greet", br#"{"name":"Ada"}"#, br#"{"queue":"q","tags":["a"]}"#).unwrap();
    let id = lavoro.enqueue(job).await.unwrap().id().to_string();
    let info = ask(&lavoro, "job.info", json!({"id": id})).await;
    assert_eq!((&info["state"], &info["payload"]["name"]), (&json!("available"), &json!("Ada")));
    assert_eq!(ask(&lavoro, "job.why", json!({"id": id})).await["state"], "available");
    ask(&lavoro, "job.edit", json!({"id": id, "edit": {"priority": 7}})).await;
    let filter = json!({"filter": {"state": "available", "tag": "a"}});
    assert_eq!(ask(&lavoro, "jobs.count", filter.clone()).await, 1);
    assert_eq!(ask(&lavoro, "jobs.list", filter).await[0]["priority"], 7);

    let options = worker_options(br#"{"queues": {"q": 1}, "tasks": ["greet"]}"#).unwrap();
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let mut events = worker.events();
    let job = worker.next_jobs(1).await.remove(0);
    let shown: Value = serde_json::from_str(&job_json(&job).unwrap()).unwrap();
    assert_eq!((&shown["id"], &shown["attempt"]), (&json!(id), &json!(1)));
    assert_eq!(shown["payload"], json!({"name": "Ada"}));
    let event = event_json(&events.next().await.unwrap()).unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((&event["event"], &event["job"]["id"]), (&json!("started"), &json!(id)));
    let outcome = Outcome::complete_with_json(r#""Hello, Ada!""#);
    worker.finish(vec![Finish { job: job.id(), token: job.token(), outcome }]).await;
    let result = ask(&lavoro, "job.result", json!({"id": id, "timeout_ms": 20_000})).await;
    assert_eq!(result, json!({"state": "completed", "result": "Hello, Ada!", "error": null}));
    assert_eq!(ask(&lavoro, "workers.list", json!({})).await[0]["queues"]["q"]["concurrency"], 1);
    worker.stop(Duration::from_secs(20)).await;
    ask(&lavoro, "job.retry", json!({"id": id})).await;
    assert_eq!(ask(&lavoro, "job.cancel", json!({"id": id})).await["state"], "cancelled");
    ask(&lavoro, "job.delete", json!({"id": id})).await;
    assert_eq!(code(&lavoro, "job.info", json!({"id": id})).await, "job_not_found");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_queues_and_rules_are_looked_after() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let schedule =
        json!({"name": "s", "task": "t", "cron": "0 9 * * *", "time_zone": "Europe/Rome"});
    ask(&lavoro, "schedules.declare", schedule.clone()).await;
    assert_eq!(code(&lavoro, "schedules.add", schedule.clone()).await, "schedule_exists");
    let after = json!({"schedule": schedule, "after": "2026-01-01T00:00:00Z", "count": 1});
    let slots = ask(&lavoro, "schedules.preview", after).await;
    assert_eq!(slots, json!(["2026-01-01T08:00:00Z"]));
    let run = ask(&lavoro, "schedules.run", json!({"name": "s"})).await;
    assert_eq!(ask(&lavoro, "job.state", run).await["state"], "available");
    ask(&lavoro, "schedules.pause", json!({"name": "s"})).await;
    assert!(ask(&lavoro, "schedules.show", json!({"name": "s"})).await["paused_at"].is_string());
    assert_eq!(ask(&lavoro, "schedules.remove", json!({"name": "s"})).await["removed"], true);

    ask(&lavoro, "queues.pause", json!({"queue": "default"})).await;
    assert!(ask(&lavoro, "queues.list", json!({})).await[0]["paused_at"].is_string());
    let cleared = ask(&lavoro, "queues.clear", json!({"queue": "default"})).await;
    assert_eq!(cleared["deleted"], 1);
    ask(&lavoro, "retention.set", json!({"task": "t", "completed_ms": 0})).await;
    assert_eq!(ask(&lavoro, "retention.remove", json!({"task": "t"})).await["removed"], true);
    let sql = ask(&lavoro, "enqueue_sql", json!({"task": "t", "payload": {"a": 1}})).await;
    assert!(sql["text"].as_str().unwrap().contains("enqueue"), "{sql}");
    let backoff = json!({"kind": "fixed", "base_ms": 2, "max_ms": 1});
    let fixed = json!({"task": "t", "options": {"backoff": backoff}});
    assert_eq!(code(&lavoro, "enqueue_sql", fixed).await, "invalid_option");
    assert!(!ask(&lavoro, "diagnose", json!({})).await.as_array().unwrap().is_empty());
}

/// Each is called with a key that none of them knows; those without arguments just answer.
#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_what_it_does_not_take() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let names: HashSet<_> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len(), "two have one name");
    for method in METHODS {
        let answer = call(&lavoro, method.name, br#"{"nonsense": 1}"#).await;
        match answer {
            Err(error) => assert_eq!(error.code(), "invalid_option", "{}", method.name),
            Ok(_) => assert_eq!(method.takes, "", "{}", method.name),
        }
    }
    assert_eq!(code(&lavoro, "jobs.explode", json!({})).await, "invalid_option");
}
