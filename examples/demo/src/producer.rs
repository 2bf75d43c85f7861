//! The producer: a process that enqueues and ends. It prints the number of each job that was
//! acknowledged.

use crate::Result;
use crate::output::{directory, list};
use crate::role::parent_gone;
use crate::tasks::{album, backup, mail, report};
use lavoro_core::{ConnectOptions, Lavoro, NewJob};
use std::time::Duration;

/// How much later the last welcome mail goes out.
const DELAY: Duration = Duration::from_secs(4);

/// Enqueues everything that has to be done, unless the demo that started it is gone.
pub(crate) async fn run() -> Result<()> {
    tokio::select! {
        done = produce() => done,
        _ = parent_gone() => Err("the demo has ended".into()),
    }
}

async fn produce() -> Result<()> {
    let lavoro = Lavoro::connect_with(ConnectOptions::default()).await?;
    let input = directory("input");
    let mut jobs: Vec<NewJob> = Vec::new();
    for path in list(&input)? {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("documents") => jobs.extend(list(&path)?.iter().map(|path| report::job(path))),
            Some("logs") => jobs.extend(list(&path)?.iter().map(|path| backup::job(path))),
            _ => jobs.push(album::job(&path)),
        }
    }
    for (place, person) in (1..).zip(mail::PEOPLE) {
        let to = format!("{person} <{}@example.org>", person.to_lowercase());
        let body = format!("Dear {person},\n\nthank you for signing up.\n");
        let mail = mail::job(&to, &format!("Welcome, {person}"), &body);
        jobs.push(if place == mail::PEOPLE.len() { mail.delay(DELAY) } else { mail });
    }
    for handle in lavoro.enqueue_many(jobs).await? {
        println!("{}", handle.id());
    }
    lavoro.close().await;
    Ok(())
}
