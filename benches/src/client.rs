//! A worker's session, which sends the statements of lavoro-core as lavoro-core does.

use crate::Result;
use crate::cluster::Database;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Row as _};
use std::sync::Arc;
use std::time::Duration;

macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!("../../lavoro-core/src/store/sql/", $name, ".sql"))
    };
}

pub(crate) const CLAIM: &str = statement!("claim");
pub(crate) const FINISH: &str = statement!("finish");
pub(crate) const ENQUEUE: &str = statement!("enqueue");
const PEEK: &str = statement!("peek");
const PRODUCER_OPEN: &str = statement!("producer_open");

/// Constants of lavoro-core's `worker::fetch`.
const SLACK: i64 = 64;
const MISSES: u32 = 20;
/// How many claims in a row may start at a floor.
const FLOOR_CLAIMS: u64 = 64;
const POLL: Duration = Duration::from_secs(1);

/// The statements under test.
#[derive(Clone)]
pub(crate) struct Statements {
    pub(crate) claim: Arc<str>,
    pub(crate) finish: Arc<str>,
}

impl Default for Statements {
    fn default() -> Self {
        Self { claim: CLAIM.into(), finish: FINISH.into() }
    }
}

/// What one claim got.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) token: Uuid,
    pub(crate) ids: Vec<i64>,
}

pub(crate) struct Client {
    connection: PgConnection,
    sql: Statements,
    tasks: Vec<String>,
    /// As `Heat` in lavoro-core's `worker::fetch`.
    pack: f64,
    misses: u32,
    /// For how many more claims the slack stays after a miss (lacking in lavoro-core: `KEEP`).
    slack: usize,
    keep: usize,
    /// Where the last full claim began, for statements that take a floor ($9).
    floor: i64,
    pub(crate) claims: u64,
    pub(crate) empty: u64,
}

impl Client {
    pub(crate) async fn connect(db: &Database, sql: &Statements, tasks: &[String]) -> Result<Self> {
        Ok(Self {
            connection: db.connect().await?,
            sql: sql.clone(),
            tasks: tasks.to_vec(),
            pack: 1.0,
            misses: 0,
            slack: 0,
            keep: crate::setting("KEEP", 0),
            floor: 0,
            claims: 0,
            empty: 0,
        })
    }

    /// Claims once, and waits as a worker waits when others hold what is there. `None`: nothing
    /// is left.
    pub(crate) async fn claim(&mut self, slots: i64) -> Result<Option<Batch>> {
        let packs = (slots as f64 / self.pack).ceil() + 1.0;
        let contended = self.misses > 0 || self.slack > 0;
        let depth = (packs as i64).min(slots) + if contended { SLACK } else { 0 };
        self.slack = self.slack.saturating_sub(1);
        let token = Uuid::from_u128(rand::random());
        let rows = self.send_claim("default", token, slots, depth).await?;
        self.claims += 1;
        // From the start again now and then, and whenever a claim comes short.
        let full = rows.len() == slots as usize && !self.claims.is_multiple_of(FLOOR_CLAIMS);
        self.floor = if full { rows[0].get("id") } else { 0 };
        // What a client must read of every row.
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id")).collect();
        let _bytes: usize = rows.iter().map(|row| row.get::<&str, _>("payload").len()).sum();
        if let Some(row) = rows.first() {
            let packs = i64::from(row.get::<i32, _>("packs"));
            let short = packs >= depth && ids.len() < slots as usize;
            self.pack = if short { 1.0 } else { (ids.len() as f64 / packs as f64).max(1.0) };
        }
        if ids.len() == slots as usize {
            self.misses = 0;
            return Ok(Some(Batch { token, ids }));
        }
        let hot = self.peek().await?;
        if ids.is_empty() {
            self.empty += u64::from(hot);
            self.misses += 1;
            self.slack = self.keep;
        } else {
            self.misses = 0;
        }
        if !hot && ids.is_empty() {
            return Ok(None);
        }
        if self.misses > MISSES {
            self.misses = 0;
            tokio::time::sleep(POLL).await;
        } else if self.misses > 0 {
            let moment = Duration::from_micros(rand::random_range(200..3000));
            tokio::time::sleep(moment * self.misses.div_ceil(4)).await;
        }
        Ok(Some(Batch { token, ids }))
    }

    /// Lets the server plan the statements, as it has in a session that has been used.
    pub(crate) async fn warm(&mut self) -> Result<()> {
        self.send_claim("nobody's", Uuid::nil(), 1, 1).await?;
        self.peek().await?;
        self.send_finish(&Batch::default()).await?;
        Ok(())
    }

    async fn send_claim(
        &mut self,
        queue: &str,
        token: Uuid,
        slots: i64,
        depth: i64,
    ) -> Result<Vec<PgRow>> {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql.claim)))
            .bind(1_i64)
            .bind(token)
            .bind(queue)
            .bind(slots)
            .bind(&self.tasks)
            .bind(16_i64 << 20)
            .bind(true)
            .bind(depth);
        let query = if self.sql.claim.contains("$9") { query.bind(self.floor) } else { query };
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    async fn peek(&mut self) -> Result<bool> {
        let query = sqlx::query(PEEK).bind(["default"]).bind(&self.tasks).bind(true);
        Ok(!query.fetch_all(&mut self.connection).await?.is_empty())
    }

    /// Completes all jobs of a claim. Answers how many were accepted.
    pub(crate) async fn finish(&mut self, batch: &Batch) -> Result<usize> {
        let row = self.send_finish(batch).await?;
        if row.get::<Vec<Uuid>, _>("dropped").len() != 1 {
            return Err("a lease stayed although all its jobs had ended".into());
        }
        Ok(row.get::<Vec<i64>, _>("done").len())
    }

    async fn send_finish(&mut self, batch: &Batch) -> Result<PgRow> {
        let count = batch.ids.len();
        let none = vec![None::<String>; count];
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql.finish)))
            .bind(&batch.ids)
            .bind(vec![batch.token; count])
            .bind((1..).take(count).collect::<Vec<i32>>())
            .bind(vec![1_i16; count])
            .bind(&none)
            .bind(&none)
            .bind(&none)
            .bind([batch.token])
            .bind([batch.token])
            .bind(Vec::<i64>::new());
        Ok(query.fetch_one(&mut self.connection).await?)
    }
}

/// A producer's session.
pub(crate) struct Producer {
    connection: PgConnection,
    id: Uuid,
    seq: i64,
}

impl Producer {
    pub(crate) async fn connect(db: &Database) -> Result<Self> {
        let mut connection = db.connect().await?;
        let id = Uuid::from_u128(rand::random());
        sqlx::query(PRODUCER_OPEN).bind(id).execute(&mut connection).await?;
        Ok(Self { connection, id, seq: 0 })
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Enqueues `count` jobs by one statement, `pack` to a pack.
    pub(crate) async fn enqueue(
        &mut self,
        count: usize,
        pack: usize,
        keep_ids: bool,
    ) -> Result<Vec<i64>> {
        self.seq += 1;
        let none = vec![None::<String>; count];
        let payload: Vec<String> = (0..count).map(|n| format!("{{\"id\": {n}}}")).collect();
        let bytes: Vec<i32> = payload.iter().map(|p| p.len() as i32).collect();
        let query = sqlx::query(ENQUEUE)
            .bind(self.id)
            .bind(self.seq)
            .bind(keep_ids)
            .bind(vec!["default"; count])
            .bind(vec!["task0"; count])
            .bind(vec![0_i32; count])
            .bind(vec![None::<i64>; count])
            .bind(vec![None::<sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>>; count])
            .bind(vec![20_i16; count])
            .bind(vec![None::<i32>; count])
            .bind(&none)
            .bind(&none)
            .bind(&none)
            .bind(&payload)
            .bind(&bytes)
            .bind((0..count).map(|n| (n / pack) as i32).collect::<Vec<_>>());
        let row = query.fetch_one(&mut self.connection).await?;
        Ok(row.get::<Option<Vec<i64>>, _>("ids").unwrap_or_default())
    }
}
