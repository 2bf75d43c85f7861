//! Named locks.

use super::{Listener, Store, translate};
use crate::error::Result;
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use sqlx::Row as _;
use std::time::Duration;
use uuid::Uuid;

/// A lock that someone wants.
#[derive(Clone, Debug)]
pub(crate) struct LockWish {
    pub(crate) name: String,
    pub(crate) token: Uuid,
    pub(crate) owner: String,
    pub(crate) lifetime: Duration,
    pub(crate) host: String,
    /// Who waits, if it is held.
    pub(crate) waiter: Option<Uuid>,
}

/// What came of an attempt to take a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is ours, with this fence.
    Granted(i64),
    /// Look again after this time.
    Busy(Duration),
}

/// What came of extending a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension {
    pub(crate) token: Uuid,
    pub(crate) extended: bool,
    /// Without having been extended: someone is changing its row.
    pub(crate) stands: bool,
}

/// A lock that is held.
#[derive(Clone, Debug, Serialize)]
pub struct LockInfo {
    /// Its name.
    pub name: String,
    /// What its holder calls itself; `host:pid` unless it says otherwise.
    pub owner: String,
    /// The machine of the holder; `None` if it was taken by SQL.
    pub host: Option<String>,
    /// The holder's process.
    pub pid: Option<i32>,
    /// The fencing token; a decimal string in JSON.
    #[serde(serialize_with = "as_string")]
    pub fence: i64,
    /// Since when it is held, by the server's clock.
    pub acquired_at: DateTime<Utc>,
    /// When it ends unless it is extended, by the server's clock.
    pub expires_at: DateTime<Utc>,
    /// How long it lives without being extended, in milliseconds.
    pub lifetime_ms: i32,
    /// How many wait for it.
    pub waiting: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_string<S: Serializer>(number: &i64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

impl Store {
    /// Takes a lock if it is free. `listens`: whether hints reach the waiter.
    pub(crate) async fn take_lock(&self, wish: &LockWish, listens: bool) -> Result<Taken> {
        let query = self
            .query(&self.sql.lock_take)
            .bind(wish.name.clone())
            .bind(wish.token)
            .bind(wish.owner.clone())
            .bind(i32::try_from(wish.lifetime.as_millis()).unwrap_or(i32::MAX))
            .bind(wish.host.clone())
            .bind(i32::try_from(std::process::id()).unwrap_or(i32::MAX))
            .bind(wish.waiter)
            .bind(listens);
        let row = self.fetch_one(query).await?;
        if let Some(fence) = row.get("fence") {
            return Ok(Taken::Granted(fence));
        }
        let retry: Option<i32> = row.get("retry_ms");
        Ok(Taken::Busy(Duration::from_millis(retry.unwrap_or(0).max(0).unsigned_abs().into())))
    }

    /// Extends locks: name, token, and how long from now on.
    pub(crate) async fn extend_locks(
        &self,
        locks: Vec<(String, Uuid, Duration)>,
    ) -> Result<Vec<Extension>> {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let spans: Vec<i64> = locks.iter().map(|(_, _, span)| millis(*span)).collect();
        let (names, tokens): (Vec<String>, Vec<Uuid>) =
            locks.into_iter().map(|(name, token, _)| (name, token)).unzip();
        let query = self.query(&self.sql.lock_extend).bind(names).bind(tokens).bind(spans);
        let rows = self.fetch_all(query).await?;
        let extension = |row: &sqlx::postgres::PgRow| Extension {
            token: row.get("token"),
            extended: row.get("extended"),
            stands: row.get("stands"),
        };
        Ok(rows.iter().map(extension).collect())
    }

    /// Leaves the line before a lock, and releases it if it was granted meanwhile.
    pub(crate) async fn leave_lock(&self, wish: &LockWish) -> Result<()> {
        let query = self.query(&self.sql.lock_leave).bind(wish.name.clone());
        self.execute(query.bind(wish.waiter).bind(wish.token)).await
    }

    /// Releases a lock. Answers whether it was still held.
    pub(crate) async fn release_lock(&self, name: &str, token: Uuid) -> Result<bool> {
        let query = self.query(&self.sql.lock_release).bind(name.to_owned()).bind(token);
        Ok(self.fetch_one(query).await?.get("released"))
    }

    /// Releases a lock whoever holds it. Answers the owner; `None`: it was free.
    pub(crate) async fn force_lock(&self, name: &str) -> Result<Option<String>> {
        let query = self.query(&self.sql.lock_force).bind(name.to_owned());
        Ok(self.fetch_one(query).await?.get("owner"))
    }

    /// Fails unless a lock is held with this fence; in the caller's own transaction.
    pub(crate) async fn check_lock_in(
        &self,
        connection: &mut sqlx::PgConnection,
        name: &str,
        fence: i64,
    ) -> Result<()> {
        let query = self.query(&self.sql.lock_check).bind(name.to_owned()).bind(fence);
        query.execute(connection).await.map(drop).map_err(translate)
    }

    /// The locks that are held, by name.
    pub(crate) async fn locks(&self) -> Result<Vec<LockInfo>> {
        let rows = self.fetch_all(self.query(&self.sql.lock_list)).await?;
        Ok(rows
            .iter()
            .map(|row| LockInfo {
                name: row.get("name"),
                owner: row.get("owner"),
                host: row.get("host"),
                pid: row.get("pid"),
                fence: row.get("fence"),
                acquired_at: row.get("acquired_at"),
                expires_at: row.get("expires_at"),
                lifetime_ms: row.get("lifetime_ms"),
                waiting: row.get("waiting"),
            })
            .collect())
    }

    /// Listens for what is said to waiters and holders. `None`: messages do not arrive.
    pub(crate) async fn listen_for_locks(&self, patience: Duration) -> Result<Option<Listener>> {
        let row = self.fetch_one(self.query(&self.sql.lock_channel)).await?;
        self.listen_on(row.get("channel"), patience).await
    }
}
