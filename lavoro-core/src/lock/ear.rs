//! Hearing that a lock is free, or was released by force. Only hints: polling finds the same.

use super::{Books, guard};
use crate::service::Patience;
use crate::store::{Listener, Store};
use std::sync::atomic::Ordering;
use std::time::Duration;
use uuid::Uuid;

/// How long the self-test waits for its own message.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where messages do not arrive, when to try again.
const DEAF: Duration = Duration::from_mins(10);

/// Listens while locks are held or waited for.
pub(super) async fn listen(store: &Store, books: &Books) {
    let mut news = books.news.subscribe();
    let mut patience = Patience::default();
    loop {
        news.borrow_and_update();
        if books.is_idle() {
            let _ = news.changed().await;
            continue;
        }
        match store.listen_for_locks(PATIENCE).await {
            Ok(Some(listener)) => {
                patience.reset();
                books.listening.store(true, Ordering::Release);
                // What was said before we listened is unknown.
                books.ring_all();
                attend(listener, books).await;
                books.listening.store(false, Ordering::Release);
                books.ring_all();
            }
            Ok(None) => {
                tracing::info!("messages do not arrive (a transaction pooler?): locks are polled");
                tokio::time::sleep(DEAF).await;
            }
            Err(error) => {
                tokio::time::sleep(patience.next_after("listening for locks", &error)).await;
            }
        }
    }
}

/// Hears until the connection breaks, or has not been needed for a while.
async fn attend(mut listener: Listener, books: &Books) {
    let mut idle = 0;
    while idle < 60 {
        match tokio::time::timeout(Duration::from_secs(1), listener.hear()).await {
            Ok(Ok(Some(message))) => heed(&message, books),
            Ok(Ok(None)) => books.ring_all(),
            Ok(Err(_)) => return,
            Err(_) => idle = if books.is_idle() { idle + 1 } else { 0 },
        }
    }
}

fn heed(message: &str, books: &Books) {
    if let Some(fence) = message.strip_prefix("lost ") {
        let lost = books.all().into_iter().find(|held| held.fence.to_string() == fence);
        if let Some(held) = lost {
            // Extending it now finds out.
            held.postpone(Duration::ZERO);
            books.news.send_replace(());
        }
    } else if let Ok(waiter) = Uuid::parse_str(message)
        && let Some(bell) = guard(&books.bells).get(&waiter)
    {
        bell.notify_one();
    }
}
