//! Whether a connection keeps its session of the server, found out by trying.

use sqlx::postgres::PgConnection;
use sqlx::{Executor as _, Row as _};

/// Which session of the server answers.
const SESSION: &str = "select pg_backend_pid()";

/// How often the connection is asked once more. A pooler that takes its sessions in turn shows
/// itself when it has come around.
const ROUNDS: usize = 4;

/// The session that answers a plain query: it needs nothing that a pooler could lose.
pub(super) async fn session(connection: &mut PgConnection) -> sqlx::Result<i32> {
    let rows = sqlx::raw_sql(SESSION).fetch_all(connection).await?;
    rows.first().map_or(Err(sqlx::Error::RowNotFound), |row| row.try_get(0))
}

/// Whether `one` shares its session with others between its transactions, as behind a transaction
/// pooler: `other` gets it, or `one` gets another one. Leaves nothing behind.
pub(super) async fn is_shared(
    one: &mut PgConnection,
    other: &mut PgConnection,
) -> sqlx::Result<bool> {
    let before = session(one).await?;
    // Most poolers lend first what came back last.
    other.execute("begin").await?;
    let held = session(other).await?;
    let while_held = session(one).await?;
    other.execute("rollback").await?;
    if held == before || while_held != before {
        return Ok(true);
    }
    for _ in 0..ROUNDS {
        if session(one).await? != before || session(other).await? == before {
            return Ok(true);
        }
    }
    Ok(false)
}
