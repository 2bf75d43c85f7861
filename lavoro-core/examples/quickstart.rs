//! The example of README.md: the part between the marks is the same, and tests/docs.rs checks it.

// README begin
use lavoro_core::{ConnectOptions, Error, Job, Lavoro, NewJob, Result, Worker};
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<()> {
    let lavoro = Lavoro::connect_with(ConnectOptions::default()).await?;
    let worker = Worker::builder(&lavoro)
        .queue("default", 10)
        .handler("greet", |job: Job| async move {
            let name: String = job.payload()?;
            Ok::<_, Error>(format!("Hello, {name}!"))
        })
        .start()
        .await?;

    let job = lavoro.enqueue(NewJob::new("greet", "Ada").max_attempts(5)).await?;
    let greeting: String = job.result(Duration::from_secs(10)).await?.value()?;
    println!("{greeting}");

    worker.stop(Duration::from_secs(30)).await;
    Ok(())
}
// README end
