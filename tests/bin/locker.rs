//! Contenders for a lock in a process of their own. See `Contenders`.

#![allow(clippy::unwrap_used, reason = "a test program")]

use lavoro_core::Lavoro;
use lavoro_tests::{Contenders, contend, contenders_pool};
use std::io::Read as _;

#[tokio::main]
async fn main() {
    let spec: Contenders = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    // The test is gone when its end of the pipe is.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let lavoro = Lavoro::connect(&spec.url).await.unwrap();
    let pool = contenders_pool(&spec.url).await;
    let start = |n| {
        let who = format!("process {} task {n}", std::process::id());
        tokio::spawn(contend(lavoro.clone(), pool.clone(), who))
    };
    let tasks: Vec<_> = (0..spec.tasks).map(start).collect();
    for task in tasks {
        task.await.unwrap();
    }
}
