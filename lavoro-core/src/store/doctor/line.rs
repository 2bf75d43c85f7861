//! What lies between us and the server, found out by trying.

use super::super::session::{is_shared, session};
use super::super::{Store, translate};
use super::said;
use crate::doctor::{Line, Look};
use crate::error::{Error, ErrorKind};
use sqlx::postgres::{PgConnection, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long each trial may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is tried to get a session that another connection has had.
const ROUNDS: usize = 4;

impl Store {
    /// Tries what the line carries. `careful` works through any pooler.
    pub(super) async fn line_facts(&self, careful: &Self) -> Line {
        let mut line = Line {
            declared: self.transaction_pooler,
            shared: Err("the trial did not end in time".to_owned()),
            named: Err("the trial did not end in time".to_owned()),
            heard: Err("the trial did not end in time".to_owned()),
        };
        let sessions = timeout(PATIENCE, self.try_sessions());
        match sessions.await {
            Ok(Ok((shared, named))) => (line.shared, line.named) = (Ok(shared), Ok(named)),
            Ok(Err(error)) => {
                let why = said(&translate(error));
                (line.shared, line.named) = (Err(why.clone()), Err(why));
            }
            Err(_) => {}
        }
        // A LISTEN through such a pooler would stay behind in a session that others use.
        if line.shared == Ok(true) || line.declared {
            line.heard = Ok(None);
        } else if let Ok(heard) = timeout(2 * PATIENCE, self.try_listening(careful)).await {
            line.heard = heard;
        }
        line
    }

    /// Whether a connection changes its session when another one takes that into a transaction,
    /// and whether a prepared statement outlives the change.
    async fn try_sessions(&self) -> sqlx::Result<(bool, Result<(), String>)> {
        let mut one: PgConnection =
            self.server.clone().statement_cache_capacity(10).connect().await?;
        let mut other = self.server.clone().connect().await?;
        let probe = uuid::Uuid::now_v7().to_string();
        // In a transaction: elsewhere a pooler may change the session between any two messages, as
        // soon as another client is at work, and nobody would know where the statement stays.
        one.execute("begin").await?;
        let before = session(&mut one).await?;
        let first = prepared(&mut one, &probe).await;
        one.execute("rollback").await?;
        let left = first.is_ok();
        other.execute("begin").await?;
        let mut held = session(&mut other).await?;
        // Another client may have had that session just now. Poolers lend first what came back last.
        for _ in 0..ROUNDS {
            if held == before {
                break;
            }
            one.execute("begin").await?;
            session(&mut one).await?;
            other.execute("rollback").await?;
            one.execute("rollback").await?;
            other.execute("begin").await?;
            held = session(&mut other).await?;
        }
        let moved = before == held || session(&mut one).await? != before;
        let again = match first {
            Ok(()) => prepared(&mut one, &probe).await,
            failed => failed,
        };
        other.execute("rollback").await?;
        let shared = moved || is_shared(&mut one, &mut other).await?;
        if shared && left {
            forget(before, [&mut other, &mut one]).await?;
        }
        let named = again.map_err(|error| said(&translate(error)));
        let _ = one.close().await;
        let _ = other.close().await;
        Ok((shared, named))
    }

    /// How long a message to ourselves takes.
    async fn try_listening(&self, careful: &Self) -> Look<Option<Duration>> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(self.server.clone());
        let why = |error| said(&translate(error));
        let mut listener = PgListener::connect_with(&pool).await.map_err(why)?;
        listener.listen(&self.channel()).await.map_err(why)?;
        let probe = uuid::Uuid::now_v7().to_string();
        let sent = Instant::now();
        match careful.hint(vec![probe.clone()]).await {
            Ok(()) => {}
            // A standby sends no messages, which is said elsewhere.
            Err(error) => return Err(said(&error)),
        }
        let heard = async {
            loop {
                match listener.try_recv().await {
                    Ok(Some(message)) if message.payload() == probe => return Ok(sent.elapsed()),
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        return Err(Error::new(
                            ErrorKind::ConnectionFailed,
                            "the connection broke",
                        ));
                    }
                    Err(error) => return Err(translate(error)),
                }
            }
        };
        match timeout(PATIENCE, heard).await {
            Ok(heard) => heard.map(Some).map_err(|error| said(&error)),
            Err(_) => Ok(None),
        }
    }
}

/// Removes what we have prepared from a session that others use, as soon as one of ours gets it. A
/// pooler that keeps statements gives them other names, and removes them itself.
async fn forget(session_of: i32, mut connections: [&mut PgConnection; 2]) -> sqlx::Result<()> {
    for _ in 0..ROUNDS {
        // Those before keep theirs meanwhile, so that the next one gets another.
        let (mut found, mut begun) = (false, 0);
        for connection in &mut connections {
            connection.execute("begin").await?;
            begun += 1;
            found = session(connection).await? == session_of;
            if found {
                let _ = connection.execute("deallocate sqlx_s_1").await;
                break;
            }
        }
        for connection in connections.iter_mut().take(begun) {
            connection.execute("rollback").await?;
        }
        if found {
            return Ok(());
        }
    }
    Ok(())
}

/// Runs a statement that is prepared under a name the first time. Other clients of a pooler use
/// the same names, so the answer must be looked at.
async fn prepared(connection: &mut PgConnection, probe: &str) -> sqlx::Result<()> {
    let query = sqlx::query(AssertSqlSafe(format!("select '{probe}'::text"))).persistent(true);
    let row = query.fetch_one(connection).await?;
    match row.try_get::<String, _>(0) {
        Ok(answer) if answer == probe => Ok(()),
        _ => Err(sqlx::Error::Protocol("the statement of another client answered".to_owned())),
    }
}
