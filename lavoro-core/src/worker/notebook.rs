//! Carrying what handlers say of their jobs to the database, in batches.
//!
//! The first word goes at once; what is said in the next moment goes together. Words are best
//! effort: one that the database refuses is given up, with a warning. They are written before
//! their job's outcome is, unless that takes longer than [`HOLD`], and then after it.

use super::checkpoint::Keeper;
use crate::error::Result;
use crate::job::{Job, Ticket};
use crate::notes::{Desk, Notes, Said, Speaker};
use crate::service::Patience;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long to wait for more after each batch.
const MOMENT: Duration = Duration::from_millis(5);
/// How long an outcome waits for the words that its handler said before it.
const HOLD: Duration = Duration::from_secs(1);
/// How long the notebook of a stopped worker may take to write what is left.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A worker's notebook.
#[derive(Debug)]
pub(super) struct Notebook {
    desk: Arc<Desk>,
}

/// The loops behind a notebook.
#[derive(Debug)]
pub(super) struct Clerks {
    desk: Arc<Desk>,
    writer: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Notebook {
    pub(super) fn start(runtime: &Handle, store: &Arc<Store>) -> (Arc<Self>, Clerks) {
        let (desk, requests) = Desk::new();
        let writer = Writer { store: Arc::clone(store), desk: Arc::clone(&desk) };
        let keeper = Keeper { store: Arc::clone(store), requests };
        let clerks = Clerks {
            desk: Arc::clone(&desk),
            writer: runtime.spawn(writer.run()),
            keeper: runtime.spawn(keeper.run()),
        };
        (Arc::new(Self { desk }), clerks)
    }

    /// Gives jobs that are handed out their voice.
    pub(super) fn equip(&self, jobs: &mut [Job]) {
        for job in jobs {
            let Ticket { id, token, claimed_at, attempt, .. } = job.ticket;
            let speaker = Speaker { job: id, token, claimed_at, attempt };
            job.notes = Notes::at(&self.desk, speaker);
        }
    }

    /// Waits until what these attempts have said is written, but not for long: an outcome is
    /// worth more than words.
    pub(super) async fn settle<'a>(&self, attempts: impl Iterator<Item = &'a Ticket> + Clone) {
        let keys = attempts.map(|ticket| (ticket.id, ticket.token));
        if timeout(HOLD, self.desk.flushed(keys)).await.is_err() {
            tracing::debug!("outcomes go before what their handlers said");
        }
    }
}

impl Drop for Notebook {
    fn drop(&mut self) {
        // The worker is gone, stopped or not: handlers that go on speak to nobody.
        self.desk.close();
    }
}

impl Clerks {
    /// Takes nothing more, and waits until all that was said is written.
    pub(super) async fn close(self) {
        self.desk.close();
        let Self { mut writer, mut keeper, .. } = self;
        let both = async { tokio::join!(&mut writer, &mut keeper) };
        if timeout(LAST_WORDS, both).await.is_err() {
            tracing::warn!("words of handlers could not be written before the worker's end");
            writer.abort();
            keeper.abort();
        }
    }
}

/// Writes progress and log lines.
struct Writer {
    store: Arc<Store>,
    desk: Arc<Desk>,
}

impl Writer {
    async fn run(self) {
        let mut patience = Patience::default();
        loop {
            let batch = self.desk.take();
            if batch.is_empty() {
                if self.desk.is_closed() {
                    return;
                }
                self.desk.news.notified().await;
                continue;
            }
            if let Err(error) = self.write(&batch).await {
                self.desk.put_back(batch);
                tokio::time::sleep(patience.next_after("writing notes", &error)).await;
                continue;
            }
            self.desk.done(&batch);
            patience.reset();
            tokio::select! {
                () = tokio::time::sleep(MOMENT) => {}
                () = self.desk.urgent.notified() => {}
            }
        }
    }

    async fn write(&self, batch: &[Said]) -> Result<()> {
        give_up_refused(self.store.write_progress(batch).await)?;
        give_up_refused(self.store.write_lines(batch).await)
    }
}

/// What the database refuses is not tried again.
fn give_up_refused(answer: Result<()>) -> Result<()> {
    match answer {
        Err(error) if !error.is_transient() => {
            tracing::warn!(code = error.code(), %error, "notes of jobs are given up");
            Ok(())
        }
        answer => answer,
    }
}
