//! `lavoro jobs logs`.

use crate::support::{self, Schema, finish};
use lavoro_core::{ConnectOptions, Finish, Job, Lavoro, Outcome, PullWorker, WorkerOptions};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

/// A worker of this process whose jobs say what the test tells them to.
async fn next(lavoro: &Lavoro) -> (PullWorker, Job) {
    let options = WorkerOptions { tasks: vec!["t".into()], ..WorkerOptions::default() };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    (worker, job)
}

async fn complete(worker: &PullWorker, job: &Job) {
    let (job, token) = (job.id(), job.token());
    worker.finish(vec![Finish { job, token, outcome: Outcome::complete() }]).await;
    worker.stop(Duration::ZERO).await;
}

fn connect(schema: &str) -> ConnectOptions {
    ConnectOptions { schema: Some(schema.to_owned()), ..ConnectOptions::url(support::url()) }
}

#[test]
fn a_log_is_shown_and_followed() {
    let schema = Schema::new("logs");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(schema.run(&["enqueue", "t"]).stdout, "1\n");
    let nothing = schema.run(&["jobs", "logs", "1"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));

    let lavoro = runtime.block_on(Lavoro::connect_with(connect("test_logs"))).unwrap();
    let (worker, job) = runtime.block_on(next(&lavoro));
    let mut following =
        schema.command(&["jobs", "logs", "1", "--follow", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    for text in ["first", "second"] {
        job.log(text);
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&line["line"], &line["attempt"]), (&json!(text), &json!(1)));
        assert!(line["id"].is_string() && line["logged_at"].is_string(), "{line}");
    }
    job.log("last\u{1b}[2J");
    runtime.block_on(complete(&worker, &job));
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(line["line"], "last\u{1b}[2J");
    assert!(lines.next().is_none(), "it ends with the job");
    assert_eq!(finish(following).code, 0);

    let shown = schema.run(&["jobs", "logs", "1"]);
    assert_eq!(shown.code, 0);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].ends_with("Z [1] first") && lines[2].ends_with("last\\u{1b}[2J"), "{lines:?}");
    let documents = schema.run(&["jobs", "logs", "1", "--json"]).stdout;
    assert_eq!(documents.lines().count(), 3);
    let followed = schema.run(&["jobs", "logs", "1", "-f"]);
    assert_eq!((followed.code, followed.stdout), (0, shown.stdout), "it has ended already");
}

#[test]
fn the_log_of_no_job_is_exit_code_3() {
    let schema = Schema::new("no_logs");
    for follow in [&[][..], &["--follow"]] {
        let answer = schema.run(&[&["jobs", "logs", "99", "--json"], follow].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (3, "job_not_found"));
    }
    assert_eq!(schema.run(&["jobs", "logs", "one"]).code, 2);
}
