//! The real thing, one transaction per step.

use super::model::{Model, Seen};
use super::op::{Edit, Ending, NewJob, Op, Return};
use chrono::{DateTime, TimeDelta, Utc};
use lavoro_core::{Backoff, ConnectOptions, Lavoro, Timing};
use lavoro_tests::{Database, statement, wait_for};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use std::time::Duration;
use uuid::Uuid;

/// Every table, so that a history can begin from nothing.
const EMPTY: &str = "
    truncate lavoro.job, lavoro.ready, lavoro.scheduled, lavoro.lease, lavoro.outcome,
             lavoro.past_outcome, lavoro.error, lavoro.worker, lavoro.queue, lavoro.unique_key,
             lavoro.cancel_request, lavoro.expiry, lavoro.kept";

/// A worker whose heartbeat lies far in the future: it is never taken for lost.
const WORKER: &str = "
    insert into lavoro.worker (beat_at, started_at, lease_ms, pid, name, host, language, version,
                               queues, tasks)
    values ('2100-01-01', now(), 40, 1, 'model', 'h', 'rust', '0', '{}', '{t}')
    returning id";

/// What came of a step.
#[derive(Clone, Debug)]
pub(super) enum Happened {
    /// There was nothing to do it to.
    Nothing,
    Enqueued {
        id: i64,
        created: bool,
        job: NewJob,
    },
    EnqueuedMany {
        ids: Vec<i64>,
        job: NewJob,
    },
    Claimed {
        worker: usize,
        queue: u8,
        slots: i64,
        suspects: bool,
        token: Uuid,
        jobs: Vec<Taken>,
    },
    Finished {
        id: i64,
        token: Uuid,
        ending: Ending,
        accepted: bool,
    },
    GivenBack {
        id: i64,
        token: Uuid,
        how: Return,
        accepted: bool,
    },
    CompletedInTransaction {
        id: i64,
        token: Uuid,
        committed: bool,
        refused: Option<String>,
    },
    Cancelled {
        id: i64,
        answer: String,
    },
    Retried {
        id: i64,
        refused: Option<String>,
    },
    Edited {
        id: i64,
        edit: Edit,
        refused: Option<String>,
    },
    Deleted {
        id: i64,
        refused: Option<String>,
    },
    Paused {
        queue: u8,
        paused: bool,
    },
    Promoted {
        hour: i32,
    },
    Expired {
        hour: i32,
    },
    /// What has ended and is still there: under a lease, and under none.
    Pruned {
        listed: Vec<i64>,
        forgotten: Vec<i64>,
    },
    Crashed {
        worker: usize,
    },
}

/// A job of a claim.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) id: i64,
    pub(super) attempt: i16,
    pub(super) suspect: bool,
}

pub(super) struct Engine {
    pool: PgPool,
    lavoro: Lavoro,
    workers: Vec<i64>,
    /// Hour 0.
    base: DateTime<Utc>,
}

pub(super) fn queue_name(queue: u8) -> String {
    format!("q{queue}")
}

/// The SQLSTATE of a refusal.
fn refusal<T>(answer: Result<T, sqlx::Error>) -> Option<String> {
    answer.err().map(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
}

impl Engine {
    /// Empties the database and starts the maintenance that rescues.
    pub(super) async fn start(database: &Database) -> Self {
        database.run(EMPTY).await;
        let tick = Duration::from_millis(10);
        let timing = Timing { heartbeat: tick, lease: 4 * tick, scan: tick, ..Timing::default() };
        let options =
            ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(&database.url) };
        let lavoro = Lavoro::connect_with(options).await.unwrap();
        let mut workers = Vec::new();
        for _ in 0..3 {
            workers.push(database.one(WORKER).await);
        }
        let base = database.one("select now()").await;
        Self { pool: database.pool.clone(), lavoro, workers, base }
    }

    pub(super) async fn stop(self) {
        self.lavoro.close().await;
    }

    /// Does what `op` says. Numbers are picked from what the model knows.
    pub(super) async fn apply(&mut self, op: &Op, model: &Model) -> Happened {
        match op {
            Op::Enqueue(job) => self.enqueue(job).await,
            Op::EnqueueMany(count, job) => self.enqueue_many(*count, job).await,
            Op::Claim { worker, queue, slots, suspects } => {
                self.claim(*worker, *queue, *slots, *suspects).await
            }
            Op::Finish(n, ending) => match model.running(*n) {
                Some((id, token)) => self.finish(id, token, *ending).await,
                None => Happened::Nothing,
            },
            Op::GiveBack(n, how) => match model.running(*n) {
                Some((id, token)) if *how == Return::Retry && model.is_last(id) => {
                    self.finish(id, token, Ending::Fail).await
                }
                Some((id, token)) => self.give_back(id, token, *how).await,
                None => Happened::Nothing,
            },
            Op::CompleteInTransaction(n, commit) => match model.running(*n) {
                Some((id, token)) => self.complete(id, token, *commit).await,
                None => Happened::Nothing,
            },
            Op::FinishByStranger(n) => match model.old_token(*n) {
                Some((id, token)) => self.finish(id, token, Ending::Complete).await,
                None => Happened::Nothing,
            },
            Op::Pause(queue, paused) => self.pause(*queue, *paused).await,
            Op::Promote(hour) => {
                self.at("promote", *hour).await;
                Happened::Promoted { hour: *hour }
            }
            Op::Expire(hour) => {
                self.at("expire", *hour).await;
                Happened::Expired { hour: *hour }
            }
            Op::Prune => self.prune().await,
            Op::Crash(worker) => self.crash(*worker).await,
            Op::Poison(..) | Op::SecondLife(..) => unreachable!("taken apart into its steps"),
            Op::Retry(n) => match model.ended(*n).or_else(|| model.pick(*n)) {
                Some(id) => self.by_hand(op, id).await,
                None => Happened::Nothing,
            },
            Op::Cancel(n) | Op::Edit(n, _) | Op::Delete(n) => match model.pick(*n) {
                Some(id) => self.by_hand(op, id).await,
                None => Happened::Nothing,
            },
        }
    }

    async fn by_hand(&self, op: &Op, id: i64) -> Happened {
        match op {
            Op::Cancel(_) => {
                let row = sqlx::query("select lavoro.cancel($1)").bind(id);
                Happened::Cancelled { id, answer: row.fetch_one(&self.pool).await.unwrap().get(0) }
            }
            Op::Retry(_) => {
                let query = sqlx::query("select lavoro.retry($1)").bind(id);
                Happened::Retried { id, refused: refusal(query.execute(&self.pool).await) }
            }
            Op::Edit(_, edit) => self.edit(id, edit).await,
            _ => {
                let query = sqlx::query("select lavoro.delete($1)").bind(id);
                Happened::Deleted { id, refused: refusal(query.execute(&self.pool).await) }
            }
        }
    }

    fn hour(&self, hour: i32) -> DateTime<Utc> {
        self.base + TimeDelta::hours(hour.into())
    }

    async fn enqueue(&self, job: &NewJob) -> Happened {
        let row = sqlx::query(
            "select id, created from lavoro.enqueue_unique('t', '1', queue => $1, priority => $2,
                 run_at => $3, max_attempts => $4, unique_key => $5, expires_at => $6,
                 on_discarded => $7,
                 backoff => '{\"kind\": \"fixed\", \"base_ms\": 3600000, \"max_ms\": 3600000,
                              \"jitter\": 0}')",
        )
        .bind(queue_name(job.queue))
        .bind(job.priority)
        .bind(job.due.map(|hour| self.hour(hour)))
        .bind(job.max_attempts)
        .bind(job.key.map(|key| key.to_string()))
        .bind(job.expires.map(|hour| self.hour(hour)))
        .bind(job.has_follow_up.then_some("f"))
        .fetch_one(&self.pool)
        .await
        .unwrap();
        Happened::Enqueued { id: row.get(0), created: row.get(1), job: job.clone() }
    }

    async fn enqueue_many(&self, count: usize, job: &NewJob) -> Happened {
        let job = NewJob { key: None, ..job.clone() };
        let new = || {
            let hour = Duration::from_hours(1);
            let mut new = lavoro_core::NewJob::new("t", 1)
                .queue(queue_name(job.queue))
                .priority(job.priority)
                .max_attempts(job.max_attempts.unsigned_abs())
                .backoff(Backoff::fixed(hour));
            if let Some(due) = job.due {
                new = new.run_at(self.hour(due));
            }
            if let Some(expires) = job.expires {
                new = new.expires_at(self.hour(expires));
            }
            if job.has_follow_up { new.on_discarded("f") } else { new }
        };
        let handles = self.lavoro.enqueue_many((0..count).map(|_| new())).await.unwrap();
        let ids = handles.iter().map(lavoro_core::JobHandle::id).collect();
        Happened::EnqueuedMany { ids, job }
    }

    async fn claim(&self, worker: usize, queue: u8, slots: i64, suspects: bool) -> Happened {
        let token = Uuid::new_v4();
        let rows = sqlx::query(statement("claim"))
            .bind(self.workers[worker])
            .bind(token)
            .bind(queue_name(queue))
            .bind(slots)
            .bind(vec!["t".to_owned()])
            .bind(1_i64 << 24)
            .bind(suspects)
            .bind(64_i64)
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let taken = |row: &PgRow| Taken {
            id: row.get("id"),
            attempt: row.get("attempt"),
            suspect: row.get("suspect"),
        };
        let jobs = rows.iter().map(taken).collect();
        Happened::Claimed { worker, queue, slots, suspects, token, jobs }
    }

    async fn finish(&self, id: i64, token: Uuid, ending: Ending) -> Happened {
        let error = (ending == Ending::Fail).then(|| "no".to_owned());
        let row = sqlx::query(statement("finish"))
            .bind(vec![id])
            .bind(vec![token])
            .bind(vec![None::<i32>])
            .bind(vec![ending as i16 + 1])
            .bind(vec![None::<String>])
            .bind(vec![error.as_ref().map(|_| "failed".to_owned())])
            .bind(vec![error])
            .bind(vec![token])
            .bind(vec![token])
            .bind(vec![id])
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let accepted = row.get::<Vec<i64>, _>("done").contains(&id);
        Happened::Finished { id, token, ending, accepted }
    }

    async fn give_back(&self, id: i64, token: Uuid, how: Return) -> Happened {
        let mut tx = self.pool.begin().await.unwrap();
        let held = sqlx::query(statement("hold"))
            .bind(vec![token])
            .bind(Some(vec![id]))
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        let attempt = held.first().map_or(0, |row| row.get::<i16, _>("attempt"));
        let (counted, delay, suspect) = match how {
            Return::Retry => (true, Some(3_600_000_i64), false),
            Return::Snooze => (false, Some(2 * 3_600_000), false),
            Return::Release => (false, None, held.first().is_some_and(|row| row.get("suspect"))),
        };
        let rows = sqlx::query(statement("give_back"))
            .bind(vec![id])
            .bind(vec![token])
            .bind(vec![attempt - i16::from(!counted)])
            .bind(vec![suspect])
            .bind(vec![delay])
            .bind(vec![counted.then(|| "failed".to_owned())])
            .bind(vec![counted.then(|| "again".to_owned())])
            .bind(vec![counted])
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Happened::GivenBack { id, token, how, accepted: !rows.is_empty() }
    }

    async fn complete(&self, id: i64, token: Uuid, commit: bool) -> Happened {
        let mut tx = self.pool.begin().await.unwrap();
        let query = sqlx::query("select lavoro.complete($1, $2)").bind(id).bind(token);
        let refused = refusal(query.execute(&mut *tx).await);
        let committed = commit && refused.is_none();
        let end = if committed { tx.commit().await } else { tx.rollback().await };
        end.unwrap();
        Happened::CompletedInTransaction { id, token, committed, refused }
    }

    async fn edit(&self, id: i64, edit: &Edit) -> Happened {
        let query = sqlx::query(
            "select lavoro.edit($1, payload => $2, priority => $3, run_at => $4, queue => $5)",
        )
        .bind(id)
        .bind(edit.payload.map(serde_json::Value::from))
        .bind(edit.priority)
        .bind(edit.due.map(|hour| self.hour(hour)))
        .bind(edit.queue.map(queue_name));
        let refused = refusal(query.execute(&self.pool).await);
        Happened::Edited { id, edit: edit.clone(), refused }
    }

    async fn pause(&self, queue: u8, paused: bool) -> Happened {
        let name = queue_name(queue);
        if paused {
            self.lavoro.pause_queue(name).await.unwrap();
        } else {
            self.lavoro.resume_queue(name).await.unwrap();
        }
        Happened::Paused { queue, paused }
    }

    /// Runs a statement of maintenance as if it were half past this hour.
    async fn at(&self, name: &str, hour: i32) {
        let now = self.hour(hour) + TimeDelta::minutes(30);
        sqlx::query(statement(name))
            .bind(1000_i64)
            .bind(Some(now))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// A whole round of pruning, days later, that keeps nothing.
    async fn prune(&self) -> Happened {
        let pool = &self.pool;
        sqlx::raw_sql("truncate lavoro.kept").execute(pool).await.unwrap();
        let note = sqlx::query(statement("kept_note")).bind(0_i64);
        let print: i64 = note.fetch_one(pool).await.unwrap().get("print");
        loop {
            let step = sqlx::query(statement("prune"))
                .bind(0_i64)
                .bind(0_i64)
                .bind(0_i64)
                .bind(1000_i64)
                .bind(60_000_i64)
                .bind(print)
                .bind(Some(self.hour(100)));
            if step.fetch_all(pool).await.unwrap().is_empty() {
                break;
            }
        }
        let listed = "job_id in (select unnest(jobs) from lavoro.lease)";
        let ended = async |condition: String| -> Vec<i64> {
            let sql = format!("select job_id from lavoro.outcome where {condition}");
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap()
        };
        Happened::Pruned {
            listed: ended(listed.to_owned()).await,
            forgotten: ended(format!("not {listed}")).await,
        }
    }

    async fn crash(&mut self, worker: usize) -> Happened {
        let id = self.workers[worker];
        let silent = "update lavoro.worker set beat_at = '2000-01-01' where id = $1";
        sqlx::query(silent).bind(id).execute(&self.pool).await.unwrap();
        wait_for("the rescue", async || {
            let ended = "select ended_at is not null from lavoro.worker where id = $1";
            let row = sqlx::query(ended).bind(id).fetch_one(&self.pool).await.unwrap();
            row.get::<bool, _>(0).then_some(())
        })
        .await;
        let row = sqlx::query(WORKER).fetch_one(&self.pool).await.unwrap();
        self.workers[worker] = row.get(0);
        Happened::Crashed { worker }
    }

    /// Every job as the view shows it.
    pub(super) async fn jobs(&self) -> Vec<Seen> {
        let rows = sqlx::query(
            "select id, task, queue, state, priority, payload, attempt,
                    jsonb_array_length(errors) as errors
             from lavoro.jobs
             order by task desc, case when task = 't' then id end, queue, state, priority",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let seen = |row: &PgRow| Seen {
            // Follow-ups are only counted: the model cannot know their numbers.
            id: if row.get::<&str, _>("task") == "t" { row.get("id") } else { 0 },
            queue: row.get("queue"),
            state: row.get("state"),
            priority: row.get("priority"),
            payload: row.get::<serde_json::Value, _>("payload").as_i64(),
            attempt: row.get("attempt"),
            errors: row.get("errors"),
        };
        rows.iter().map(seen).collect()
    }
}
