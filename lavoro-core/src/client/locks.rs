//! Named locks: a builder, and the guard of a lock that is held.

use super::Lavoro;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::lock::{Held, LockLoss};
use crate::store::{LockInfo, LockWish};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a lock lives without being extended, unless told otherwise.
const LIFETIME: Duration = Duration::from_secs(15);
/// How long an acquire waits, unless told otherwise.
const WAIT: Duration = Duration::from_secs(30);

impl Lavoro {
    /// Begins to take the lock of this name: 1 to 255 bytes without control characters. Nothing
    /// is sent yet.
    ///
    /// ```no_run
    /// # async fn example(lavoro: lavoro_core::Lavoro) -> lavoro_core::Result<()> {
    /// let lock = lavoro.lock("invoices 2031").acquire().await?;
    /// // … pass lock.fencing_token() to whatever is written …
    /// lock.release().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock(&self, name: impl Into<String>) -> LockOptions {
        LockOptions {
            lavoro: self.clone(),
            name: name.into(),
            lifetime: LIFETIME,
            wait: WAIT,
            owner: None,
        }
    }

    /// Holds a lock on that another process handed over as text
    /// ([`Lock::serialise`], [`Lock::hand_over`]): it is extended at once, and from here on.
    ///
    /// # Errors
    /// `lock_lost` if it is not held any more; `invalid_option` if the text is none of ours; or
    /// what is wrong with the database.
    pub async fn restore_lock(&self, text: &str) -> Result<Lock> {
        let Letter { version, name, token, fence, lifetime_ms, owner } = Letter::read(text)?;
        if version != Letter::VERSION {
            return Err(Letter::unknown());
        }
        limits::check_lock(&name)?;
        limits::check_owner(&owner)?;
        let lifetime = Duration::from_millis(lifetime_ms);
        limits::check_range("lifetime", &lifetime, &limits::LOCK_LIFETIME)?;
        let fence = fence.parse().map_err(|_| Letter::unknown())?;
        let token = Uuid::parse_str(&token).map_err(|_| Letter::unknown())?;
        let inner = Arc::clone(&self.inner);
        let held = self
            .run(async move { inner.locks.restore(name, (token, fence), owner, lifetime).await });
        Ok(Lock::new(self.clone(), held.await?))
    }

    /// The locks that are held, by name.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn locks(&self) -> Result<Vec<LockInfo>> {
        let store = Arc::clone(self.store());
        self.run(async move { store.locks().await }).await
    }

    /// Releases a lock whoever holds it: for an operator, since its holder may still be at work.
    /// The holder is told, at once where it hears messages, else when it next extends the lock.
    /// Answers the owner; `None`: the lock was free.
    ///
    /// # Errors
    /// `invalid_option`, or what is wrong with the database.
    pub async fn force_release(&self, name: impl Into<String>) -> Result<Option<String>> {
        let name = name.into();
        limits::check_lock(&name)?;
        let store = Arc::clone(self.store());
        self.run(async move { store.force_lock(&name).await }).await
    }
}

/// How to take a lock. Made by [`Lavoro::lock`].
#[derive(Clone, Debug)]
#[must_use = "nothing is taken before acquire or try_acquire"]
pub struct LockOptions {
    lavoro: Lavoro,
    name: String,
    lifetime: Duration,
    wait: Duration,
    owner: Option<String>,
}

impl LockOptions {
    /// How long the lock lives when its holder cannot extend it, 1 s to 24 h. Default: 15 s. A
    /// crash keeps others waiting so long; an outage of 4/5 of it loses the lock.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long [`acquire`](Self::acquire) waits, 0 to 24 h. Default: 30 s.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// What the holder is called in listings, 1 to 255 bytes. Default: `host:pid`.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    fn wish(&self, waiter: Option<Uuid>) -> Result<LockWish> {
        limits::check_lock(&self.name)?;
        limits::check_range("lifetime", &self.lifetime, &limits::LOCK_LIFETIME)?;
        limits::check_range("wait", &self.wait, &limits::LOCK_WAIT)?;
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_else(|| "unknown".to_owned());
        let owner = self.owner.clone().unwrap_or_else(|| format!("{host}:{}", std::process::id()));
        limits::check_owner(&owner)?;
        let (name, lifetime) = (self.name.clone(), self.lifetime);
        Ok(LockWish { name, token: Uuid::new_v4(), owner, lifetime, host, waiter })
    }

    /// Takes the lock; while another holds it, waits in line. While the database cannot be
    /// reached it is tried again. Dropping the future leaves the line.
    ///
    /// # Errors
    /// `timeout` if the lock was not free in time; `invalid_option`; or what is wrong with the
    /// database.
    pub async fn acquire(self) -> Result<Lock> {
        let wish = self.wish(Some(Uuid::new_v4()))?;
        let gone = CancellationToken::new();
        let _leaves = gone.clone().drop_guard();
        let (lavoro, wait) = (self.lavoro, self.wait);
        let client = lavoro.clone();
        let work = async move {
            let held = client.inner.locks.acquire(wish, wait, gone).await?;
            // From here on dropping it, as a caller does who has gone, releases it.
            Ok(Lock::new(client, held))
        };
        lavoro.run(work).await
    }

    /// Takes the lock if it is free and nobody waits for it; else `None`, at once.
    ///
    /// # Errors
    /// `invalid_option`, or what is wrong with the database.
    pub async fn try_acquire(self) -> Result<Option<Lock>> {
        let wish = self.wish(None)?;
        let client = self.lavoro.clone();
        let work = async move {
            let held = client.inner.locks.try_acquire(wish).await?;
            Ok(held.map(|held| Lock::new(client, held)))
        };
        self.lavoro.run(work).await
    }
}

/// A lock that is held. It is extended by a thread of Lavoro's own, whatever the application's
/// threads do, until it is released, dropped, handed over or lost.
///
/// A lease cannot stop a process that was frozen from acting later, when another has the lock:
/// pass [`fencing_token`](Self::fencing_token) on to what is written, and let that refuse a
/// number smaller than one it has seen. For work in the same database there is
/// [`check_in`](Self::check_in).
///
/// Dropping it releases it in the background; [`release`](Self::release) says when that is done.
#[derive(Debug)]
pub struct Lock {
    lavoro: Lavoro,
    held: Arc<Held>,
    /// Nothing is left to be released.
    over: AtomicBool,
}

impl Lock {
    fn new(lavoro: Lavoro, held: Arc<Held>) -> Self {
        Self { lavoro, held, over: AtomicBool::new(false) }
    }

    /// The lock's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.held.name
    }

    /// What its holder is called.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.held.owner
    }

    /// A number that rises with each grant of this name, across restarts, releases and crashes;
    /// not without gaps.
    #[must_use]
    pub fn fencing_token(&self) -> i64 {
        self.held.fence
    }

    /// Whether it is held as far as this process knows: not released, not reported lost. Asks
    /// nobody.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.over.load(Ordering::Acquire) && self.held.loss().is_none()
    }

    /// How long the database keeps it at least, if it is not extended; zero if it is not held.
    /// Asks nobody: measured by a local clock that never jumps, from before the last extension
    /// was sent.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        if self.over.load(Ordering::Acquire) { Duration::ZERO } else { self.held.remaining() }
    }

    /// Waits until the lock is lost, and says why. A lock that cannot be extended is reported
    /// when 4/5 of its lifetime have passed, before it ends in the database. Never for a lock
    /// that was released.
    pub async fn lost(&self) -> LockLoss {
        self.held.lost().await
    }

    /// Why the lock is lost, if so.
    #[must_use]
    pub fn loss(&self) -> Option<LockLoss> {
        self.held.loss()
    }

    /// Lets the lock live at least `span` from now on, 1 s to 24 h, without waiting for the
    /// automatic extension; never shortens it.
    ///
    /// # Errors
    /// `lock_lost` if it is not held any more; `invalid_option`; or what is wrong with the
    /// database.
    pub async fn extend(&self, span: Duration) -> Result<()> {
        limits::check_range("extension", &span, &limits::LOCK_LIFETIME)?;
        self.check_open()?;
        let (held, store) = (Arc::clone(&self.held), Arc::clone(self.lavoro.store()));
        self.lavoro.run(async move { held.extend(&store, span).await }).await
    }

    /// Fails unless the lock is held, by what the database says, inside the caller's own
    /// transaction. Nobody else is given the lock before that transaction ends: what it does is
    /// done under the lock, or not at all.
    ///
    /// # Errors
    /// `lock_lost`: roll back. What is wrong with the database.
    pub async fn check_in(&self, transaction: &mut sqlx::PgConnection) -> Result<()> {
        self.lavoro.store().check_lock_in(transaction, &self.held.name, self.held.fence).await
    }

    /// Releases the lock, and wakes the first who waits. Answers whether it was still held, as
    /// the database says; a second call answers false.
    ///
    /// # Errors
    /// What is wrong with the database: the lock then ends by itself. Call again to try again.
    pub async fn release(&self) -> Result<bool> {
        if self.over.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.lavoro.inner.locks.drop_lock(&self.held);
        let (held, store) = (Arc::clone(&self.held), Arc::clone(self.lavoro.store()));
        let work = async move { store.release_lock(&held.name, held.token).await };
        let released = self.lavoro.run(work).await?;
        self.over.store(true, Ordering::Release);
        Ok(released)
    }

    /// The lock as text, for [`Lavoro::restore_lock`] in another process. Both then hold it
    /// under one fencing token, extend it, and may release it. The text is a secret: whoever has
    /// it can do so.
    ///
    /// # Errors
    /// `lock_lost` if it is not held any more.
    pub fn serialise(&self) -> Result<String> {
        self.check_open()?;
        let held = &self.held;
        let letter = Letter {
            version: Letter::VERSION,
            name: held.name.clone(),
            token: held.token.to_string(),
            fence: held.fence.to_string(),
            lifetime_ms: u64::try_from(held.lifetime.as_millis()).unwrap_or(u64::MAX),
            owner: held.owner.clone(),
        };
        serde_json::to_string(&letter).map_err(|error| {
            Error::new(ErrorKind::Internal, "a lock cannot be written").with_source(error)
        })
    }

    /// As [`serialise`](Self::serialise), and lets go of it here: its whole lifetime from now on
    /// is left for the other process to restore it. Nothing is released.
    ///
    /// # Errors
    /// `lock_lost` if it is not held any more, or what is wrong with the database.
    pub async fn hand_over(self) -> Result<String> {
        let text = self.serialise()?;
        self.extend(self.held.lifetime).await?;
        self.lavoro.inner.locks.drop_lock(&self.held);
        self.over.store(true, Ordering::Release);
        Ok(text)
    }

    fn check_open(&self) -> Result<()> {
        if self.over.load(Ordering::Acquire) {
            let message =
                format!("the lock {:?} is not held any more: it was released", self.name());
            return Err(Error::new(ErrorKind::LockLost, message));
        }
        self.held.loss().map_or(Ok(()), |why| Err(self.held.gone(why)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.over.load(Ordering::Acquire) {
            return;
        }
        self.lavoro.inner.locks.begin_release(&self.held);
        let (lavoro, held) = (self.lavoro.clone(), Arc::clone(&self.held));
        self.lavoro
            .runtime()
            .handle()
            .spawn(async move { lavoro.inner.locks.end_release(&held).await });
    }
}

/// A lock as text.
#[derive(Serialize, Deserialize)]
struct Letter {
    version: u32,
    name: String,
    token: String,
    fence: String,
    lifetime_ms: u64,
    owner: String,
}

impl Letter {
    const VERSION: u32 = 1;

    fn read(text: &str) -> Result<Self> {
        // Without what serde says, which may quote the token.
        serde_json::from_str(text).map_err(|_| Self::unknown())
    }

    fn unknown() -> Error {
        Error::new(ErrorKind::InvalidOption, "this text is not a lock that Lock::serialise wrote")
    }
}
