//! Keeping checkpoints: saved in batches, each answered when it is committed or refused.

use crate::error::{Error, ErrorKind, Result};
use crate::job::JobId;
use crate::json::Json;
use crate::notes::{Request, Speaker};
use crate::service::Patience;
use crate::store::Store;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How many requests are looked at together. Checkpoints are at most 1 MiB each.
const BATCH: usize = 16;
/// How long a request is tried again while the database does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Saves and reads checkpoints.
pub(super) struct Keeper {
    pub(super) store: Arc<Store>,
    pub(super) requests: mpsc::Receiver<Request>,
}

/// A checkpoint on its way.
struct Save {
    speaker: Speaker,
    data: Json,
    reply: oneshot::Sender<Result<()>>,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(BATCH);
        while self.requests.recv_many(&mut requests, BATCH).await > 0 {
            let mut saves = Vec::new();
            for request in requests.drain(..) {
                match request {
                    Request::Load(job, reply) => {
                        tokio::spawn(load(Arc::clone(&self.store), job, reply));
                    }
                    Request::Save(speaker, data, reply) => {
                        saves.push(Save { speaker, data, reply });
                    }
                }
            }
            while !saves.is_empty() {
                self.save(first_of_each_job(&mut saves)).await;
            }
        }
    }

    async fn save(&self, mut saves: Vec<Save>) {
        let mut patience = Patience::default();
        let until = Instant::now() + PATIENCE;
        loop {
            // Nobody waits any more for those that have been dropped.
            saves.retain(|save| !save.reply.is_closed());
            let rows: Vec<_> = saves.iter().map(|save| (save.speaker, &save.data)).collect();
            if rows.is_empty() {
                return;
            }
            match self.store.save_checkpoints(&rows).await {
                Ok(saved) => return answer(saves, &saved),
                Err(error) if error.is_transient() && Instant::now() < until => {
                    tokio::time::sleep(patience.next_after("saving checkpoints", &error)).await;
                }
                Err(error) if error.is_transient() || saves.len() == 1 => {
                    return refuse(saves, &error);
                }
                // One of them is refused by the database: not the others.
                Err(_) => break,
            }
        }
        for save in saves {
            Box::pin(self.save(vec![save])).await;
        }
    }
}

/// Takes the first checkpoint of each job out; the later ones follow in their order.
fn first_of_each_job(saves: &mut Vec<Save>) -> Vec<Save> {
    let mut jobs = HashSet::new();
    let (first, later) = saves.drain(..).partition(|save| jobs.insert(save.speaker.job));
    *saves = later;
    first
}

fn answer(saves: Vec<Save>, saved: &[JobId]) {
    for Save { speaker, reply, .. } in saves {
        let verdict = if saved.contains(&speaker.job) { Ok(()) } else { Err(stale(speaker.job)) };
        let _ = reply.send(verdict);
    }
}

fn refuse(saves: Vec<Save>, error: &Error) {
    for save in saves {
        let copy = Error::new(error.kind(), error.message().to_owned());
        let copy = if error.is_transient() { copy.transient() } else { copy };
        let _ = save.reply.send(Err(copy));
    }
}

fn stale(job: JobId) -> Error {
    let message = format!(
        "job {job} is not held by this lease any more: its checkpoint is refused. Stop: another \
         worker runs the job, or has finished it"
    );
    Error::new(ErrorKind::StaleLease, message)
}

async fn load(store: Arc<Store>, job: JobId, reply: oneshot::Sender<Result<Option<String>>>) {
    let mut patience = Patience::default();
    let until = Instant::now() + PATIENCE;
    loop {
        match store.checkpoint(job).await {
            Err(error) if error.is_transient() && Instant::now() < until && !reply.is_closed() => {
                tokio::time::sleep(patience.next_after("reading a checkpoint", &error)).await;
            }
            answer => {
                let _ = reply.send(answer);
                return;
            }
        }
    }
}
