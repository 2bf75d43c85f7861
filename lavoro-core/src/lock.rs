//! The engine of named locks: taking and waiting, extending, noticing that one is lost.
//!
//! One thread with a connection of its own extends all locks of a client, so that nothing the
//! application does can lose them.

mod acquire;
mod ear;
mod held;
mod keeper;

pub(crate) use held::Held;
pub use held::LockLoss;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use keeper::Keeper;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// How long closing waits for those who leave a line or release, and how often it looks.
const QUIET: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(5));

/// All locks of one client: held, and waited for.
#[derive(Debug)]
pub(crate) struct Locks {
    store: Arc<Store>,
    books: Arc<Books>,
    keeper: Mutex<Option<Keeper>>,
}

/// What the keeper's thread and the rest share.
#[derive(Debug)]
struct Books {
    held: Mutex<HashMap<Uuid, Arc<Held>>>,
    bells: Mutex<HashMap<Uuid, Arc<Notify>>>,
    /// Something has changed that the thread should look at.
    news: watch::Sender<()>,
    /// Whether hints arrive.
    listening: AtomicBool,
    closed: AtomicBool,
    /// Releases in the background that are under way.
    releasing: AtomicUsize,
}

impl Locks {
    /// Nothing is started before the first lock is wanted.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        let books = Books {
            held: Mutex::default(),
            bells: Mutex::default(),
            news: watch::Sender::new(()),
            listening: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            releasing: AtomicUsize::new(0),
        };
        Self { store, books: Arc::new(books), keeper: Mutex::new(None) }
    }

    /// Starts the thread, if it does not run yet.
    fn start(&self) -> Result<()> {
        let mut keeper = guard(&self.keeper);
        if self.books.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if keeper.is_none() {
            *keeper = Some(Keeper::start(Arc::clone(&self.store), Arc::clone(&self.books))?);
        }
        Ok(())
    }

    /// Lets the thread look after a lock.
    pub(crate) fn keep(&self, held: &Arc<Held>) -> Result<()> {
        self.start()?;
        guard(&self.books.held).insert(held.key, Arc::clone(held));
        self.books.news.send_replace(());
        if self.books.closed.load(Ordering::Acquire) {
            self.books.forsake();
        }
        Ok(())
    }

    /// Extends a lock no more.
    pub(crate) fn drop_lock(&self, held: &Held) {
        guard(&self.books.held).remove(&held.key);
    }

    /// Says that a lock will be released in the background; `close` waits for it a moment.
    pub(crate) fn begin_release(&self, held: &Held) {
        self.books.releasing.fetch_add(1, Ordering::AcqRel);
        self.drop_lock(held);
    }

    /// Releases it. If this fails, the lock ends by itself.
    pub(crate) async fn end_release(&self, held: &Held) {
        let _ = self.store.release_lock(&held.name, held.token).await;
        self.books.releasing.fetch_sub(1, Ordering::AcqRel);
    }

    /// Ends the thread. Locks that are still held end by themselves, and their holders are told.
    pub(crate) async fn close(&self) {
        self.books.closed.store(true, Ordering::Release);
        self.books.ring_all();
        let quiet = async {
            while !self.books.is_quiet() {
                tokio::time::sleep(QUIET.1).await;
            }
        };
        let _ = tokio::time::timeout(QUIET.0, quiet).await;
        let keeper = guard(&self.keeper).take();
        if let Some(keeper) = keeper {
            keeper.stop().await;
        }
        self.books.forsake();
    }
}

impl Books {
    fn all(&self) -> Vec<Arc<Held>> {
        guard(&self.held).values().cloned().collect()
    }

    fn is_idle(&self) -> bool {
        guard(&self.held).is_empty() && guard(&self.bells).is_empty()
    }

    /// Nobody leaves a line or releases in the background any more.
    fn is_quiet(&self) -> bool {
        guard(&self.bells).is_empty() && self.releasing.load(Ordering::Acquire) == 0
    }

    /// Tells the holder of a lock that it is lost, and extends it no more.
    fn lose(&self, held: &Held, why: LockLoss) {
        // One that was released meanwhile is not lost.
        if guard(&self.held).remove(&held.key).is_some() {
            held.lose(why);
        }
    }

    fn forsake(&self) {
        for held in self.all() {
            self.lose(&held, LockLoss::Closed);
        }
    }

    /// Whoever waits looks again.
    fn ring_all(&self) {
        for bell in guard(&self.bells).values() {
            bell.notify_one();
        }
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client has been closed")
}
