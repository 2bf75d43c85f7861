//! Locks.

use crate::error::{closed, thrown};
use lavoro_core::{Lock, LockLoss, LockOptions};
use napi::Result;
use napi_derive::napi;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

/// A lock that is about to be taken.
#[napi]
#[derive(Debug)]
pub struct NativeLockRequest {
    options: LockOptions,
    cancelled: watch::Sender<bool>,
}

impl NativeLockRequest {
    pub(crate) fn new(
        mut options: LockOptions,
        lifetime_ms: Option<u32>,
        wait_ms: Option<u32>,
        owner: Option<String>,
    ) -> Self {
        if let Some(lifetime) = lifetime_ms {
            options = options.lifetime(millis(lifetime));
        }
        if let Some(wait) = wait_ms {
            options = options.wait(millis(wait));
        }
        if let Some(owner) = owner {
            options = options.owner(owner);
        }
        Self { options, cancelled: watch::Sender::new(false) }
    }
}

#[napi]
impl NativeLockRequest {
    /// Takes the lock, waiting in line. `null`: `cancel` was called.
    #[napi(catch_unwind)]
    pub async fn acquire(&self) -> Result<Option<NativeLock>> {
        let mut cancelled = self.cancelled.subscribe();
        let lock = tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(None),
            lock = self.options.clone().acquire() => lock,
        };
        lock.map(|lock| Some(NativeLock::new(lock))).map_err(thrown)
    }

    /// Takes the lock if it is free. `null`: it is not.
    #[napi(catch_unwind)]
    pub async fn try_acquire(&self) -> Result<Option<NativeLock>> {
        let lock = self.options.clone().try_acquire().await.map_err(thrown)?;
        Ok(lock.map(NativeLock::new))
    }

    /// Stops waiting.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }
}

/// A lock that is held.
#[napi]
#[derive(Debug)]
pub struct NativeLock {
    lock: RwLock<Option<Arc<Lock>>>,
    name: String,
    owner: String,
    fence: i64,
    over: watch::Sender<bool>,
}

impl NativeLock {
    pub(crate) fn new(lock: Lock) -> Self {
        Self {
            name: lock.name().to_owned(),
            owner: lock.owner().to_owned(),
            fence: lock.fencing_token(),
            lock: RwLock::new(Some(Arc::new(lock))),
            over: watch::Sender::new(false),
        }
    }

    fn peek(&self) -> Option<Arc<Lock>> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> Result<Arc<Lock>> {
        self.peek().ok_or_else(|| closed("lock"))
    }

    fn take(&self) -> Option<Arc<Lock>> {
        self.over.send_replace(true);
        self.lock.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[napi]
impl NativeLock {
    /// The lock's name.
    #[napi(getter, catch_unwind)]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// What its holder is called.
    #[napi(getter, catch_unwind)]
    pub fn owner(&self) -> String {
        self.owner.clone()
    }

    /// A number that rises with each grant of the name.
    #[napi(getter, catch_unwind)]
    pub fn fence(&self) -> String {
        self.fence.to_string()
    }

    /// Whether it is held as far as this process knows.
    #[napi(getter, catch_unwind)]
    pub fn is_held(&self) -> bool {
        self.peek().is_some_and(|lock| lock.is_held())
    }

    /// For how many milliseconds the database keeps it at least.
    #[napi(getter, catch_unwind)]
    pub fn remaining_ms(&self) -> f64 {
        self.peek().map_or(0.0, |lock| lock.remaining().as_secs_f64() * 1000.0)
    }

    /// Waits until the lock is lost, and says why; `null` after its release.
    #[napi(catch_unwind)]
    pub async fn lost(&self) -> Result<Option<String>> {
        let Some(lock) = self.peek() else { return Ok(None) };
        let mut over = self.over.subscribe();
        let loss = tokio::select! {
            biased;
            loss = lock.lost() => loss,
            _ = over.wait_for(|over| *over) => return Ok(None),
        };
        let word = match loss {
            LockLoss::LostContact => "lost_contact",
            LockLoss::Lost => "lost",
            LockLoss::Closed => "closed",
        };
        Ok(Some(word.to_owned()))
    }

    /// Lets the lock live at least so long from now on.
    #[napi(catch_unwind)]
    pub async fn extend(&self, span_ms: u32) -> Result<()> {
        self.lock()?.extend(millis(span_ms)).await.map_err(thrown)
    }

    /// Releases the lock. Answers whether it was still held.
    #[napi(catch_unwind)]
    pub async fn release(&self) -> Result<bool> {
        let Some(lock) = self.peek() else { return Ok(false) };
        let released = lock.release().await.map_err(thrown)?;
        drop(self.take());
        Ok(released)
    }

    /// The lock as text, which is a secret.
    #[napi(catch_unwind)]
    pub fn serialise(&self) -> Result<String> {
        self.lock()?.serialise().map_err(thrown)
    }
}
