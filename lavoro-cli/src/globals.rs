//! Options of every command, and the connection they describe.

use clap::{Args, ValueEnum};
use lavoro_core::ConnectOptions;

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Database: postgres://…, embedded: (in .lavoro) or memory: (throw-away)
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Schema of Lavoro's tables [default: `LAVORO_SCHEMA`, else lavoro]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) schema: Option<String>,
    /// What lies between this program and the server: a pooler in transaction mode?
    #[arg(long, global = true, value_name = "MODE")]
    pooler: Option<Pooler>,
    /// Print JSON; an error is the last line of stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on stderr; twice, still more (or set `LAVORO_LOG`)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How a pooler shares server connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pooler {
    /// No pooler, or one that keeps a connection for a whole session
    Session,
    /// A connection per transaction, as `PgBouncer`'s `pool_mode=transaction`
    Transaction,
}

impl Globals {
    /// The options of a connection. Where the URL comes from without `--database-url` is the
    /// core's business.
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            url: self.database_url.clone(),
            schema: self.schema.clone(),
            transaction_pooler: self.pooler == Some(Pooler::Transaction),
            warn_unhandled: false, // `lavoro enqueue` says it at once
            ..ConnectOptions::default()
        }
    }
}
