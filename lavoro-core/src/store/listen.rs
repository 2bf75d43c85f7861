//! Hearing wake-ups.

use super::{Store, translate};
use crate::error::Result;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;

/// Listens on the schema's channel over a connection of its own.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: PgListener,
}

impl Store {
    /// Starts listening, and tests with a message to itself whether messages arrive: behind a
    /// transaction pooler they do not. `None` then.
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
        let mut listener = PgListener::connect_with(&pool).await.map_err(translate)?;
        listener.listen(&channel).await.map_err(translate)?;
        let probe = uuid::Uuid::now_v7().to_string();
        self.hint_on(channel, vec![probe.clone()]).await?;
        let mut listener = Listener { listener };
        let heard = async {
            loop {
                match listener.hear().await {
                    Ok(Some(message)) if message == probe => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        let works = tokio::time::timeout(patience, heard).await.unwrap_or(false);
        Ok(works.then_some(listener))
    }
}

impl Listener {
    /// The next queue that has work. `None`: messages may have been missed.
    pub(crate) async fn hear(&mut self) -> Result<Option<String>> {
        let heard = self.listener.try_recv().await.map_err(translate)?;
        Ok(heard.map(|message| message.payload().to_owned()))
    }
}
