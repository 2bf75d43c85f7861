//! Hearing wake-ups.

use super::session::is_shared;
use super::{Store, translate};
use crate::error::Result;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use std::time::Duration;

/// Listens on the schema's channel over a connection of its own.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: PgListener,
}

impl Store {
    /// Starts listening, and tests with a message to itself whether messages arrive: behind a
    /// transaction pooler they do not. `None` then. A pooler that nobody has declared is looked for
    /// first: a LISTEN would stay behind in a session that others use, who then get messages that
    /// they do not expect.
    pub(crate) async fn listen(&self, patience: Duration) -> Result<Option<Listener>> {
        self.listen_on(self.channel(), patience).await
    }

    /// As [`listen`](Self::listen), on another channel.
    pub(super) async fn listen_on(
        &self,
        channel: String,
        patience: Duration,
    ) -> Result<Option<Listener>> {
        if self.transaction_pooler {
            return Ok(None);
        }
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(patience)
            .connect_lazy_with(self.server.clone());
        let shared = tokio::time::timeout(patience, self.is_shared(&pool)).await;
        if self.judge(shared)? {
            tracing::warn!(
                "a pooler in transaction mode lies between, and Lavoro has not been told: connect \
                 with ?pooler=transaction in the URL"
            );
            return Ok(None);
        }
        let mut listener = PgListener::connect_with(&pool).await.map_err(translate)?;
        // By itself it would listen again whatever lies between by then.
        listener.eager_reconnect(false);
        listener.listen(&channel).await.map_err(translate)?;
        let probe = uuid::Uuid::now_v7().to_string();
        self.hint_on(channel, vec![probe.clone()]).await?;
        let mut listener = Listener { listener };
        let heard = async {
            loop {
                match listener.hear().await {
                    Ok(Some(message)) if message == probe => return true,
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return false,
                }
            }
        };
        let works = tokio::time::timeout(patience, heard).await.unwrap_or(false);
        Ok(works.then_some(listener))
    }

    /// Whether the one connection of `pool`, over which we are about to listen, shares its session.
    async fn is_shared(&self, pool: &PgPool) -> sqlx::Result<bool> {
        let mut one = pool.acquire().await?;
        let mut other = self.server.clone().connect().await?;
        let shared = is_shared(&mut one, &mut other).await;
        let _ = other.close().await;
        shared
    }
}

impl Listener {
    /// The next queue that has work. `None`: the connection broke, so messages may have been missed;
    /// [`listen`](Store::listen) again.
    pub(crate) async fn hear(&mut self) -> Result<Option<String>> {
        let heard = self.listener.try_recv().await.map_err(translate)?;
        Ok(heard.map(|message| message.payload().to_owned()))
    }
}
