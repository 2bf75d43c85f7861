//! Looking at the server.

use super::Store;
use crate::error::Result;
use sqlx::Row as _;

impl Store {
    /// How many bytes of write-ahead log the server has written so far.
    pub(crate) async fn wal_position(&self) -> Result<i64> {
        let row = self.fetch_one(self.query(&self.sql.wal_position)).await?;
        Ok(row.get("bytes"))
    }
}
