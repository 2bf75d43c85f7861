//! `send_email`: a message through SMTP.

use crate::Result;
use lavoro_core::{Job, NewJob, Outcome};
use lettre::message::Mailbox;
use lettre::transport::smtp;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The task's name.
pub(crate) const TASK: &str = "send_email";
/// Its queue.
pub(crate) const QUEUE: &str = "mail";
/// The environment variable with the mail server's address.
pub(crate) const SERVER: &str = "LAVORO_DEMO_SMTP";
/// Who has signed up and is welcomed.
pub(crate) const PEOPLE: [&str; 5] = ["Ada", "Grace", "Alan", "Barbara", "Edsger"];

/// How long to wait when the server says "later".
const LATER: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    to: String,
    subject: String,
    body: String,
}

/// A job for one message.
pub(crate) fn job(to: &str, subject: &str, body: &str) -> NewJob {
    let payload = Payload { to: to.to_owned(), subject: subject.to_owned(), body: body.to_owned() };
    NewJob::new(TASK, payload).queue(QUEUE)
}

/// The handler. The job's number is the message's id, so that a server or reader recognises a
/// message that is sent twice.
pub(crate) async fn run(job: Job) -> Outcome {
    send(&job).await.unwrap_or_else(|error| Outcome::retry(error.to_string()))
}

async fn send(job: &Job) -> Result<Outcome> {
    let Payload { to, subject, body } = job.payload()?;
    let server: SocketAddr = std::env::var(SERVER)?.parse()?;
    let message = Message::builder()
        .message_id(Some(format!("<job-{}@lavoro-demo.invalid>", job.id())))
        .from("Lavoro demo <demo@lavoro-demo.invalid>".parse::<Mailbox>()?)
        .to(to.parse::<Mailbox>()?)
        .subject(subject)
        .body(body)?;
    let transport =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.ip().to_string())
            .port(server.port())
            .timeout(Some(Duration::from_secs(10)))
            .build();
    match transport.send(message).await {
        Ok(response) => {
            let said = response.message().collect::<Vec<_>>().join(" ");
            Ok(Outcome::complete_with(&serde_json::json!({ "server": said }))?)
        }
        Err(error) => Ok(refused(&error)),
    }
}

/// A server that says "later" is asked again soon; one that says "never" is believed.
fn refused(error: &smtp::Error) -> Outcome {
    if error.is_permanent() {
        Outcome::fail(error.to_string())
    } else if error.is_transient() {
        Outcome::retry_in(LATER, error.to_string())
    } else {
        Outcome::retry(error.to_string())
    }
}
