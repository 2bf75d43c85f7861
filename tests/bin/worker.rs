//! A worker in a process of its own. See `Spec` for what it does.

#![allow(clippy::unwrap_used, reason = "a test program")]

use lavoro_core::{Finish, Job, Lavoro, Outcome, PullWorker, WorkerOptions};
use lavoro_tests::Spec;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let spec: Spec = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    // The test is gone when its end of the pipe is.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let log = OpenOptions::new().create(true).append(true).open(&spec.log).unwrap();
    let log = Arc::new(log);
    let lavoro = Lavoro::connect(&spec.url).await.unwrap();
    let worker = Arc::new(PullWorker::start(&lavoro, options(&spec)).await.unwrap());
    note(&log, "ready", 0, 0, "");
    loop {
        for job in worker.next_jobs(100).await {
            let (worker, log) = (Arc::clone(&worker), Arc::clone(&log));
            tokio::spawn(async move {
                let (id, token, attempt) = (job.id(), job.token(), job.attempt());
                note(&log, "start", id, attempt, "");
                let outcome = run(&job, &log).await;
                note(&log, "done", id, attempt, "");
                let verdict = worker.finish(vec![Finish { job: id, token, outcome }]).await;
                note(&log, "end", id, attempt, &format!("{:?}", verdict[0]));
            });
        }
    }
}

fn options(spec: &Spec) -> WorkerOptions {
    WorkerOptions {
        name: Some(spec.name.clone()),
        queues: [("default".to_owned(), spec.concurrency.into())].into(),
        tasks: vec!["sleep".into(), "poison".into(), "noop".into(), "checkpoint".into()],
        timing: if spec.quick { lavoro_tests::quick() } else { WorkerOptions::default().timing },
        ..WorkerOptions::default()
    }
}

/// Handlers that ignore every request to stop: what a blocked language looks like from outside.
async fn run(job: &Job, log: &File) -> Outcome {
    let payload: serde_json::Value = job.payload().unwrap();
    if job.task() == "checkpoint" {
        save(job, log, "early").await;
    }
    if payload["poison"] == true {
        std::process::abort();
    }
    if let Some(ms) = payload["ms"].as_u64() {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if job.task() == "checkpoint" {
        save(job, log, "late").await;
    }
    Outcome::complete()
}

async fn save(job: &Job, log: &File, checkpoint: &str) {
    match job.save_checkpoint(checkpoint).await {
        Ok(()) => note(log, "saved", job.id(), job.attempt(), checkpoint),
        Err(error) => note(log, "refused", job.id(), job.attempt(), error.code()),
    }
}

/// One line in one write, so that processes do not mix theirs.
fn note(mut log: &File, event: &str, job: i64, attempt: u32, verdict: &str) {
    let line = format!("{event} {job} {attempt} {} {verdict}\n", std::process::id());
    log.write_all(line.as_bytes()).unwrap();
}
