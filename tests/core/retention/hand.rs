//! Rules, and pruning by hand.

use lavoro_core::{ConnectOptions, Lavoro, Retention};
use lavoro_tests::{Database, quick, statement};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use std::time::Duration;

pub(super) const LONG: Duration = Duration::from_mins(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const MINUTE_MS: i64 = 60_000;

/// Everything that may hang on a job, and its column.
pub(super) const HANGING: [&str; 9] = [
    "outcome",
    "past_outcome",
    "error",
    "log",
    "progress",
    "checkpoint",
    "expiry",
    "cancel_request",
    "unique_key",
];

pub(super) fn rule(task: Option<&str>) -> Retention {
    Retention { task: task.map(str::to_owned), ..Retention::default() }
}

pub(super) async fn maintainer(database: &Database) -> Lavoro {
    let timing = quick();
    let options =
        ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

/// Sends the statements of pruning with an instant instead of the server's clock.
pub(super) struct Hand(pub(super) PgConnection);

impl Hand {
    pub(super) async fn new(database: &Database) -> Self {
        let mut connection = PgConnection::connect(&database.direct).await.unwrap();
        let session = "set enable_seqscan = off; set jit = off; \
                       set plan_cache_mode = force_generic_plan; set lock_timeout = '1s'";
        connection.execute(session).await.unwrap();
        Self(connection)
    }

    pub(super) async fn note(&mut self) -> i64 {
        let note = sqlx::query(statement("kept_note")).bind(0_i64);
        note.fetch_one(&mut self.0).await.unwrap().get("print")
    }

    /// One step, `days` from now. `None`: nothing is due.
    pub(super) async fn step(&mut self, print: i64, days: f64, limit: i64) -> Option<i64> {
        self.send(statement("prune"), print, days, limit).await
    }

    /// A step that has its snapshot and then waits for the advisory lock 7.
    pub(super) async fn held_step(&mut self, print: i64, days: f64) -> Option<i64> {
        let AssertSqlSafe(sql) = statement("prune");
        let clock = "with clock as materialized (\n    select coalesce(";
        assert!(sql.contains(clock), "prune.sql has changed: find the new place to wait at");
        let held = "with clock as materialized (\n    \
                    select coalesce(nullif((select pg_advisory_lock(7))::text, '')::timestamptz, ";
        self.send(AssertSqlSafe(sql.replace(clock, held)), print, days, 1000).await
    }

    pub(super) async fn send(
        &mut self,
        sql: AssertSqlSafe<String>,
        print: i64,
        days: f64,
        limit: i64,
    ) -> Option<i64> {
        let rows = sqlx::query(sql)
            .bind(7 * 24 * 60 * MINUTE_MS)
            .bind(7 * 24 * 60 * MINUTE_MS)
            .bind(30 * 24 * 60 * MINUTE_MS)
            .bind(limit)
            .bind(MINUTE_MS)
            .bind(print)
            .bind(chrono::Utc::now() + DAY.mul_f64(days))
            .fetch_all(&mut self.0)
            .await
            .unwrap();
        rows.first().map(|row| row.get("deleted"))
    }

    /// A whole round, `days` from now. Answers how many jobs went, and how many blocks were
    /// looked at.
    pub(super) async fn round(&mut self, days: f64) -> (i64, u32) {
        let print = self.note().await;
        let (mut deleted, mut steps) = (0, 0);
        while let Some(more) = self.step(print, days, 1000).await {
            deleted += more;
            steps += 1;
            assert!(steps < 1000, "a round does not end");
        }
        (deleted, steps)
    }
}

/// Ended jobs `from..=to` of a task, in a state (1 completed, 2 cancelled, 3 discarded), that
/// ended just now.
pub(super) async fn end(database: &Database, task: &str, state: i32, from: i64, to: i64) {
    database
        .run(&format!(
            "insert into lavoro.job (id, created_at, priority, max_attempts, queue, task, payload)
             select i, now() - interval '1 year', 0, 20, 'default', '{task}', '{{}}'
             from generate_series({from}, {to}) i;
             insert into lavoro.outcome (job_id, finished_at, attempt, state)
             select i, now(), 1, {state} from generate_series({from}, {to}) i;
             select setval('lavoro.job_id_seq', greatest({to}, nextval('lavoro.job_id_seq')))"
        ))
        .await;
}

/// How many jobs there are of each task, as text.
pub(super) async fn tasks(database: &Database) -> String {
    let sql = "select coalesce(string_agg(task || ' ' || n, ', ' order by task), '')
               from (select task, count(*) as n from lavoro.job group by task) t";
    database.one(sql).await
}
