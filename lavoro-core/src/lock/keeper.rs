//! The thread that extends the locks of a client, over a connection of its own.

use super::{Books, Held, LockLoss, ear};
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long one extension may take. An answer that comes later is worth little: another
/// connection is tried.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long the clock goes unwatched: it goes on while the machine is suspended, timers do not.
const WATCH: Duration = Duration::from_millis(500);

/// The running thread.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(store: Arc<Store>, books: Arc<Books>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Internal, "threads cannot be started").with_source(error)
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("lavoro-locks".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let own = store.apart_within(DEADLINE);
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = extend(&own, &books) => {}
                        () = watch(&books) => {}
                        () = ear::listen(&store, &books) => {}
                    }
                    books.forsake();
                    own.close().await;
                });
            })
            .map_err(failed)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread and waits for it.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Extends each lock after a third of its lifetime; those that are due, in one statement.
async fn extend(store: &Store, books: &Books) {
    let mut news = books.news.subscribe();
    loop {
        news.borrow_and_update();
        let now = clock::now();
        let (due, later): (Vec<_>, Vec<_>) =
            books.all().into_iter().partition(|held| held.extend_at() <= now);
        if due.is_empty() {
            let next = later.iter().map(|held| held.extend_at()).min();
            let pause = next.map_or(WATCH, |next| next.saturating_sub(now).min(WATCH));
            tokio::select! {
                () = tokio::time::sleep(pause), if next.is_some() => {}
                _ = news.changed() => {}
            }
            continue;
        }
        let wanted = due.iter().map(|held| (held.name.clone(), held.token, held.lifetime));
        match store.extend_locks(wanted.collect()).await {
            Ok(extensions) => {
                for held in &due {
                    let of = extensions.iter().find(|extension| extension.token == held.token);
                    match of {
                        Some(extension) if extension.extended => held.extended(now, held.lifetime),
                        Some(extension) if extension.stands => held.postpone(again(held)),
                        _ => books.lose(held, LockLoss::Lost),
                    }
                }
            }
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "extending locks failed, and is tried again");
                for held in &due {
                    held.postpone(again(held));
                }
            }
        }
    }
}

/// How soon after a failure to try again.
fn again(held: &Held) -> Duration {
    (held.lifetime / 15).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

/// Tells holders whose locks were not extended in time.
async fn watch(books: &Books) {
    let mut news = books.news.subscribe();
    loop {
        news.borrow_and_update();
        let now = clock::now();
        let (late, fine): (Vec<_>, Vec<_>) =
            books.all().into_iter().partition(|held| held.warn_at() <= now);
        for held in &late {
            books.lose(held, LockLoss::LostContact);
        }
        let next = fine.iter().map(|held| held.warn_at()).min();
        let pause = next.map_or(WATCH, |next| next.saturating_sub(now).min(WATCH));
        tokio::select! {
            () = tokio::time::sleep(pause), if next.is_some() => {}
            _ = news.changed() => {}
        }
    }
}
