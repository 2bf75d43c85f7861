//! Schedulers in a process of their own, to be killed and stopped. See `Schedulers`.

#![allow(clippy::unwrap_used, reason = "a test program")]

use lavoro_core::{ConnectOptions, Finish, Lavoro, Outcome, PullWorker, WorkerOptions};
use lavoro_tests::{Schedulers, quick};
use std::io::Read as _;

#[tokio::main]
async fn main() {
    let spec: Schedulers = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    // The test is gone when its end of the pipe is.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let connect = |maintenance| ConnectOptions {
        maintenance,
        pool_size: 2,
        timing: quick(),
        ..ConnectOptions::url(&spec.url)
    };
    let mut clients = Vec::new();
    for _ in 1..spec.schedulers {
        clients.push(Lavoro::connect_with(connect(true)).await.unwrap());
    }
    // The last one is a worker, which fires as well.
    let lavoro = Lavoro::connect_with(connect(false)).await.unwrap();
    let options = WorkerOptions {
        queues: [("default".to_owned(), 50.into())].into(),
        tasks: vec!["noop".into()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    loop {
        let jobs = worker.next_jobs(50).await;
        let done = |job: lavoro_core::Job| Finish {
            job: job.id(),
            token: job.token(),
            outcome: Outcome::complete(),
        };
        worker.finish(jobs.into_iter().map(done).collect()).await;
    }
}
