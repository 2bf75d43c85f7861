//! Taking a lock, and waiting in the line before it.

use super::{Books, Held, Locks, closed, guard};
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::service::Patience;
use crate::store::{LockWish, Taken};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A waiter's bell, which a hint rings.
struct Bell<'a> {
    books: &'a Books,
    waiter: Uuid,
    notify: Arc<Notify>,
}

impl<'a> Bell<'a> {
    fn hang(books: &'a Books, waiter: Uuid) -> Self {
        let notify = Arc::new(Notify::new());
        guard(&books.bells).insert(waiter, Arc::clone(&notify));
        books.news.send_replace(());
        Self { books, waiter, notify }
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        guard(&self.books.bells).remove(&self.waiter);
    }
}

impl Locks {
    /// Takes a lock if it is free and nobody waits for it.
    pub(crate) async fn try_acquire(&self, wish: LockWish) -> Result<Option<Arc<Held>>> {
        let sent = clock::now();
        match self.store.take_lock(&wish, false).await {
            Ok(Taken::Granted(fence)) => self.granted(&wish, fence, sent).await,
            Ok(Taken::Busy(_)) => Ok(None),
            Err(error) => {
                // It may be ours all the same.
                let _ = self.store.release_lock(&wish.name, wish.token).await;
                Err(error)
            }
        }
    }

    /// Takes a lock, and waits for it at most this long; in the order of those who wait.
    /// `gone`: the caller waits no more.
    pub(crate) async fn acquire(
        &self,
        wish: LockWish,
        wait: Duration,
        gone: CancellationToken,
    ) -> Result<Arc<Held>> {
        self.start()?;
        let bell = Bell::hang(&self.books, wish.waiter.unwrap_or_default());
        let answer = self.wait(&wish, wait, &gone, &bell).await;
        if answer.is_err() {
            // Out of the line, and nothing is kept that a lost reply may have brought.
            let _ = self.store.leave_lock(&wish).await;
        }
        answer
    }

    async fn wait(
        &self,
        wish: &LockWish,
        wait: Duration,
        gone: &CancellationToken,
        bell: &Bell<'_>,
    ) -> Result<Arc<Held>> {
        let deadline = clock::now() + wait;
        let mut patience = Patience::default();
        loop {
            if gone.is_cancelled() || self.books.closed.load(Ordering::Acquire) {
                return Err(closed());
            }
            let sent = clock::now();
            let listens = self.books.listening.load(Ordering::Acquire);
            let mut trouble = None;
            let pause = match self.store.take_lock(wish, listens).await {
                Ok(Taken::Granted(fence)) => match self.granted(wish, fence, sent).await? {
                    Some(held) => return Ok(held),
                    None => Duration::ZERO,
                },
                Ok(Taken::Busy(pause)) => {
                    patience.reset();
                    pause
                }
                Err(error) if error.is_transient() => {
                    let pause = patience.next_after("taking a lock", &error);
                    trouble = Some(error);
                    pause
                }
                Err(error) => return Err(error),
            };
            let left = deadline.saturating_sub(clock::now());
            if left.is_zero() {
                return Err(trouble.unwrap_or_else(|| too_long(wish, wait)));
            }
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = bell.notify.notified() => {}
                () = gone.cancelled() => {}
            }
        }
    }

    /// A lock is ours; or was, if the answer took so long that it may have ended.
    async fn granted(
        &self,
        wish: &LockWish,
        fence: i64,
        sent: Duration,
    ) -> Result<Option<Arc<Held>>> {
        let LockWish { name, token, owner, lifetime, .. } = wish.clone();
        let held = Arc::new(Held::new(name, (token, fence), owner, lifetime, sent));
        if held.loss().is_some() {
            self.store.release_lock(&wish.name, wish.token).await?;
            return Ok(None);
        }
        self.keep(&held)?;
        Ok(Some(held))
    }

    /// Holds a lock on with its token and fence, extending it at once.
    pub(crate) async fn restore(
        &self,
        name: String,
        (token, fence): (Uuid, i64),
        owner: String,
        lifetime: Duration,
    ) -> Result<Arc<Held>> {
        let held = Arc::new(Held::new(name, (token, fence), owner, lifetime, clock::now()));
        held.extend(&self.store, lifetime).await?;
        self.keep(&held)?;
        Ok(held)
    }
}

fn too_long(wish: &LockWish, wait: Duration) -> Error {
    let message = format!("the lock {:?} was not free within {wait:?}", wish.name);
    Error::new(ErrorKind::Timeout, message).transient()
}
