//! The example of docs/testing.md: the parts between the marks are its blocks, and tests/docs.rs
//! checks it. `cargo test` runs it.

// docs begin
use lavoro_core::{Error, Job, Lavoro, NewJob, Outcome, Worker, WorkerBuilder};
use serde_json::{Value, json};

/// The application's worker: its `main` starts it, its tests run it.
fn worker(lavoro: &Lavoro) -> WorkerBuilder {
    let client = lavoro.clone();
    Worker::builder(lavoro)
        .queue("mail", 10)
        .handler("sign_up", move |job: Job| {
            let client = client.clone();
            async move {
                let user: Value = job.payload()?;
                let mail = json!({"to": user["address"], "template": "welcome"});
                client.enqueue(NewJob::new("send_email", mail).queue("mail")).await?;
                Ok::<_, Error>(())
            }
        })
        .handler("send_email", |job: Job| async move {
            let mail: Value = job.payload()?;
            match mail["to"].as_str() {
                Some(to) => Ok(format!("sent to {to}")),
                None => Err(Outcome::fail("the mail has no address")),
            }
        })
}
// docs end

#[tokio::main]
async fn main() -> Result<(), Error> {
    let lavoro = Lavoro::connect("embedded:").await?;
    let worker = worker(&lavoro).start().await?;
    let _ = tokio::signal::ctrl_c().await;
    worker.stop(std::time::Duration::from_secs(30)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Error, Lavoro, NewJob, json, worker};

    // docs begin
    use lavoro_core::testing::{self, assert_enqueued, enqueued, refute_enqueued};

    #[tokio::test]
    async fn signing_up_sends_a_mail() -> Result<(), Error> {
        let lavoro = Lavoro::connect("memory:").await?;
        let ada = json!({"name": "Ada", "address": "ada@example.org"});
        lavoro.enqueue(NewJob::new("sign_up", ada)).await?;

        // Runs both jobs: the second is enqueued by the first.
        let drained = testing::drain(worker(&lavoro)).run().await?;
        assert_eq!((drained.completed, drained.discarded), (2, 0));
        assert_eq!(drained.failures, []);
        Ok(())
    }
    // docs end

    // docs begin
    #[tokio::test]
    async fn a_reminder_comes_after_a_day() -> Result<(), Error> {
        let lavoro = Lavoro::connect("memory:").await?;
        let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
        let mail = json!({"to": "ada@example.org", "template": "reminder"});
        lavoro.enqueue(NewJob::new("send_email", mail).run_at(tomorrow)).await?;

        assert_eq!(testing::drain(worker(&lavoro)).run().await?.attempts, 0);
        let drained = testing::drain(worker(&lavoro)).at(tomorrow).run().await?;
        assert_eq!(drained.completed, 1);
        Ok(())
    }
    // docs end

    // docs begin
    #[tokio::test]
    async fn a_mail_goes_to_its_address() -> Result<(), Error> {
        let lavoro = Lavoro::connect("memory:").await?;
        let mail = NewJob::new("send_email", json!({"to": "ada@example.org"}));
        let sent = testing::inline(worker(&lavoro), mail).await?;
        assert_eq!(sent.value::<String>()?, "sent to ada@example.org");

        let nowhere =
            testing::inline(worker(&lavoro), NewJob::new("send_email", json!({}))).await?;
        assert_eq!(nowhere.error.as_deref(), Some("the mail has no address"));
        Ok(())
    }
    // docs end

    // docs begin
    #[tokio::test]
    async fn signing_up_enqueues_one_welcome() -> Result<(), Error> {
        let lavoro = Lavoro::connect("memory:").await?;
        let ada = json!({"address": "ada@example.org"});
        testing::inline(worker(&lavoro), NewJob::new("sign_up", ada)).await?;

        let welcome = enqueued("send_email").queue("mail").payload(json!({"template": "welcome"}));
        assert_enqueued(&lavoro, &welcome.count(1)).await;
        refute_enqueued(&lavoro, &enqueued("sign_up")).await;
        Ok(())
    }
    // docs end
}
