//! One lock that is held, as its holder knows it.

use super::guard;
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Why a lock is not held any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockLoss {
    /// It could not be extended for 4/5 of its lifetime: the database will soon give it to
    /// another. This is told before that happens, unless this process itself was stopped.
    LostContact,
    /// The database says that it has expired, or someone released it by force: another may have
    /// it already.
    Lost,
    /// The client was closed while the lock was held: it is not extended any more.
    Closed,
}

/// A lock that is held, with what its holder knows of its end by the local clock.
pub(crate) struct Held {
    /// Its own in this process: a lock that is restored where it is held has the same token.
    pub(super) key: Uuid,
    pub(crate) name: String,
    pub(crate) token: Uuid,
    pub(crate) fence: i64,
    pub(crate) owner: String,
    pub(crate) lifetime: Duration,
    times: Mutex<Times>,
    loss: watch::Sender<Option<LockLoss>>,
}

/// By the local clock. Measured from before a question was sent, so that the server's own end is
/// never earlier.
#[derive(Clone, Copy, Debug)]
struct Times {
    ends: Duration,
    /// Not before this time: when to extend again.
    extend: Duration,
}

impl std::fmt::Debug for Held {
    /// Leaves out the token, with which anyone could release it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Held");
        shown.field("name", &self.name).field("fence", &self.fence).finish_non_exhaustive()
    }
}

impl Held {
    /// A lock that was granted to a question sent at this time.
    pub(crate) fn new(
        name: String,
        (token, fence): (Uuid, i64),
        owner: String,
        lifetime: Duration,
        sent: Duration,
    ) -> Self {
        let times = Times { ends: sent + lifetime, extend: sent + lifetime / 3 };
        let loss = watch::Sender::new(None);
        let key = Uuid::new_v4();
        Self { key, name, token, fence, owner, lifetime, times: Mutex::new(times), loss }
    }

    /// It was extended by this span, asked for at this time.
    pub(super) fn extended(&self, sent: Duration, span: Duration) {
        let mut times = guard(&self.times);
        times.ends = times.ends.max(sent + span);
        times.extend = times.ends.saturating_sub(self.lifetime * 2 / 3);
    }

    /// It was not: when to try again.
    pub(super) fn postpone(&self, pause: Duration) {
        guard(&self.times).extend = clock::now() + pause;
    }

    /// The next attempt to extend it.
    pub(super) fn extend_at(&self) -> Duration {
        guard(&self.times).extend
    }

    /// When it counts as lost unless it is extended.
    pub(super) fn warn_at(&self) -> Duration {
        guard(&self.times).ends.saturating_sub(self.lifetime / 5)
    }

    pub(super) fn lose(&self, why: LockLoss) {
        self.loss.send_if_modified(|loss| {
            let news = loss.is_none();
            if news {
                tracing::warn!(lock = self.name, fence = self.fence, ?why, "a lock is lost");
                *loss = Some(why);
            }
            news
        });
    }

    /// Why it is not held any more, if so. Asks the clock too: the thread may be late itself.
    pub(crate) fn loss(&self) -> Option<LockLoss> {
        let told = *self.loss.borrow();
        told.or_else(|| (clock::now() >= self.warn_at()).then_some(LockLoss::LostContact))
    }

    /// Waits until it is lost.
    pub(crate) async fn lost(&self) -> LockLoss {
        let mut receiver = self.loss.subscribe();
        loop {
            if let Some(why) = *receiver.borrow_and_update() {
                return why;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// How long the server keeps it at least.
    pub(crate) fn remaining(&self) -> Duration {
        if self.loss().is_some() {
            return Duration::ZERO;
        }
        guard(&self.times).ends.saturating_sub(clock::now())
    }

    /// Extends it now.
    pub(crate) async fn extend(&self, store: &Store, span: Duration) -> Result<()> {
        if let Some(why) = self.loss() {
            return Err(self.gone(why));
        }
        let sent = clock::now();
        let extensions = store.extend_locks(vec![(self.name.clone(), self.token, span)]).await?;
        match extensions.first() {
            Some(extension) if extension.extended => self.extended(sent, span),
            Some(extension) if extension.stands => {
                let message =
                    format!("someone is changing the lock {:?}: it was not extended", self.name);
                return Err(Error::new(ErrorKind::Timeout, message).transient());
            }
            _ => {
                self.lose(LockLoss::Lost);
                return Err(self.gone(LockLoss::Lost));
            }
        }
        Ok(())
    }

    pub(crate) fn gone(&self, why: LockLoss) -> Error {
        let reason = match why {
            LockLoss::LostContact => "it could not be extended in time",
            LockLoss::Lost => "it has expired, or was released by force",
            LockLoss::Closed => "the client has been closed",
        };
        let message = format!("the lock {:?} is not held any more: {reason}", self.name);
        Error::new(ErrorKind::LockLost, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(age: Duration) -> Held {
        let sent = clock::now().saturating_sub(age);
        let lifetime = Duration::from_secs(100);
        Held::new("l".into(), (Uuid::nil(), 7), "o".into(), lifetime, sent)
    }

    #[test]
    fn it_counts_as_lost_before_it_ends() {
        assert_eq!(held(Duration::from_secs(70)).loss(), None);
        let late = held(Duration::from_secs(81));
        assert_eq!(late.loss(), Some(LockLoss::LostContact));
        assert_eq!(late.remaining(), Duration::ZERO);
    }

    #[test]
    fn an_extension_counts_from_before_it_was_asked_for_and_shortens_nothing() {
        let held = held(Duration::from_secs(70));
        let sent = clock::now().saturating_sub(Duration::from_secs(10));
        held.extended(sent, Duration::from_secs(100));
        let left = held.remaining().as_secs();
        assert!((89..=90).contains(&left), "{left}");
        held.extended(sent, Duration::from_secs(20));
        assert!(held.remaining().as_secs() >= 89);
    }

    #[test]
    fn the_first_loss_stays() {
        let held = held(Duration::ZERO);
        held.lose(LockLoss::Lost);
        held.lose(LockLoss::Closed);
        assert_eq!(held.loss(), Some(LockLoss::Lost));
    }
}
