//! Contenders for one lock who write to a table that the fencing token guards.

use crate::Database;
use lavoro_core::Lavoro;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::time::Duration;

/// How long the contested lock lives.
const LIFETIME: Duration = Duration::from_secs(1);

/// What the program `lavoro-test-locker` does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contenders {
    /// The database.
    pub url: String,
    /// How many tasks contend.
    pub tasks: usize,
}

/// What is written under the lock, and what becomes of the lock by the server's clock.
const TABLES: &str = "
    create table guarded (fence bigint not null);
    insert into guarded values (0);
    create table written (id bigint generated always as identity primary key, fence bigint not null, who text not null);
    create table refused (fence bigint not null, who text not null);
    create table turns (who text not null);
    create table history (
        id bigint generated always as identity primary key, name text not null, old_fence bigint, old_token uuid,
        old_expires timestamptz, fence bigint, token uuid, expires timestamptz, at timestamptz not null);
    create function note_lock() returns trigger language plpgsql as $$
    begin
        insert into history (name, old_fence, old_token, old_expires, fence, token, expires, at)
        values (new.name, old.fence, old.token, old.expires_at, new.fence, new.token, new.expires_at,
                clock_timestamp());
        return new;
    end $$;
    create trigger note_lock before update on lavoro.lock for each row execute function note_lock()";

/// Grants while another held the lock, and grants with a number that does not rise.
const OVERLAPS: &str = "
    select count(*) from history
    where token is not null and fence is distinct from old_fence
      and ((old_token is not null and old_expires > at) or old_fence >= fence)";

/// Extensions after the end, or of another's lock.
const REVIVED: &str = "
    select count(*) from history
    where token is not null and fence = old_fence and (old_token is distinct from token or old_expires <= at)";

/// Writes that were accepted after one with a larger number, or from two writers with one number.
const INTRUDERS: &str = "
    select count(*) from written w
    where exists (select from written v where v.id < w.id and v.fence > w.fence)
       or exists (select from written v where v.fence = w.fence and v.who <> w.who)";

impl Database {
    /// Makes the tables of the contest.
    pub async fn contest(&self) {
        self.run(TABLES).await;
    }

    /// What went wrong: there must be one holder at a time, and one writer per number, in order.
    pub async fn unfenced(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (what, sql) in [
            ("two holders at one time", OVERLAPS),
            ("a lock was extended that had ended", REVIVED),
            ("two writers were accepted", INTRUDERS),
        ] {
            if self.one::<i64>(sql).await > 0 {
                found.push(what);
            }
        }
        found
    }
}

/// Contends until the database is gone: takes the lock, writes a few rows, releases it.
pub async fn contend(lavoro: Lavoro, pool: PgPool, who: String) {
    loop {
        let Ok(lock) = lavoro.lock("l").lifetime(LIFETIME).acquire().await else { continue };
        let fence = lock.fencing_token();
        let _ = sqlx::query("insert into turns values ($1)").bind(&who).execute(&pool).await;
        for _ in 0..3 {
            let sql =
                "with ours as (update guarded set fence = $1 where fence <= $1 returning fence),
                       done as (insert into written (fence, who) select fence, $2 from ours)
                       select count(*) from ours";
            let accepted =
                sqlx::query_scalar::<_, i64>(sql).bind(fence).bind(&who).fetch_one(&pool);
            let Ok(accepted) = accepted.await else { break };
            if accepted == 0 {
                let sql = "insert into refused values ($1, $2)";
                let _ = sqlx::query(sql).bind(fence).bind(&who).execute(&pool).await;
                break;
            }
        }
        let _ = lock.release().await;
    }
}

/// A few connections for contenders.
///
/// # Panics
/// If the database cannot be reached.
pub async fn contenders_pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(4).connect(url).await.unwrap()
}
