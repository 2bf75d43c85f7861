//! An embedded PostgreSQL: a private server for development and tests, run from binaries that
//! are already on the machine.
//!
//! It is the engine of production, not a substitute for it, and is reached through a Unix socket
//! in a directory that only its user can enter. Everything here blocks; an asynchronous caller
//! wraps [`Embedded::start`] in its runtime's blocking pool. The server's parent is a thread of
//! its own, so that it does not matter which thread called, or for how long that one lives.

mod cluster;
mod dirs;
mod find;
mod install;
mod keeper;
mod lock;
mod log;
mod memory;
mod orphan;
mod place;
mod sources;
mod spawn;
mod watch;

use std::fmt;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

pub use find::{Binaries, find_binaries};

/// The directory of a project that holds its persistent embedded server.
const PROJECT_DIR: &str = ".lavoro";

/// What becomes of the data of an embedded server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddedKind {
    /// The data stays, in `dir` (usually [`find_project_dir`]). Processes that name the same
    /// directory share one server: the first one owns it, the others join, and when the owner
    /// ends one of them takes over.
    Persistent {
        /// The `.lavoro` directory; created if it does not exist.
        dir: PathBuf,
    },
    /// The data is thrown away when the server stops, and is never flushed to disk. No other
    /// process joins.
    Memory,
}

/// How to start an embedded server. The default is a throw-away one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// What becomes of the data.
    pub kind: EmbeddedKind,
    /// The directory of `initdb` and `postgres`. Default: none, which searches as
    /// [`find_binaries`] does.
    pub bin_dir: Option<PathBuf>,
    /// More settings for `postgresql.conf`, as names and unquoted values; they override the
    /// defaults of this module. They count for a server that this process starts, not for one
    /// that it joins. Default: none.
    pub settings: Vec<(String, String)>,
    /// How long the start may take, creation of the data included. Default: 30 seconds.
    pub start_timeout: Duration,
}

impl EmbeddedOptions {
    /// The defaults for a server of this kind.
    #[must_use]
    pub const fn new(kind: EmbeddedKind) -> Self {
        Self { kind, bin_dir: None, settings: Vec::new(), start_timeout: Duration::from_secs(30) }
    }

    /// The defaults for a server that keeps its data in this `.lavoro` directory.
    #[must_use]
    pub fn persistent(dir: impl Into<PathBuf>) -> Self {
        Self::new(EmbeddedKind::Persistent { dir: dir.into() })
    }

    /// The defaults for a server whose data is thrown away.
    #[must_use]
    pub const fn memory() -> Self {
        Self::new(EmbeddedKind::Memory)
    }
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self::memory()
    }
}

/// A running embedded server.
///
/// Dropping it stops the server, which takes as long as [`stop`](Self::stop), unless another
/// process owns it: then the server is left alone. If the owner ends while this process still
/// holds its `Embedded`, this process restarts the server at the same address, and clients that
/// reconnect carry on.
///
/// If the process is killed, the server shuts itself down (on Linux at once; elsewhere the next
/// start sees to it). A child made by `fork` must not use the value it inherited, and must not
/// outlive a killed parent, whose lock it holds.
pub struct Embedded {
    keeper: keeper::Keeper,
    url: String,
}

impl Embedded {
    /// Starts a server, or joins the one that is running in the same directory. Returns when it
    /// accepts connections and its database exists.
    ///
    /// This does not look at `LAVORO_ENV`: who asks for a server by name gets one.
    ///
    /// # Errors
    ///
    /// [`PostgresNotFound`](ErrorKind::PostgresNotFound) says where it looked and what to run;
    /// [`EmbeddedFailed`](ErrorKind::EmbeddedFailed) has the last lines of the server's log;
    /// [`InvalidOption`](ErrorKind::InvalidOption) names the setting or path that cannot be used.
    pub fn start(options: EmbeddedOptions) -> Result<Self> {
        let keeper = keeper::Keeper::start(options)?;
        let url = url(keeper.facts());
        Ok(Self { keeper, url })
    }

    /// The directory of the Unix socket: what other programs call the host.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.keeper.facts().socket_dir
    }

    /// The port, which is only a part of the socket's name: nothing listens on TCP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.keeper.facts().port
    }

    /// The superuser. There is no password.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.keeper.facts().user
    }

    /// The database that was created together with the data.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.keeper.facts().database
    }

    /// A `postgres://` URL for this and other programs (sqlx, libpq, psql, node-postgres,
    /// asyncpg), with the socket's directory as its percent-encoded host.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The data directory of the server. It also holds `server.log`.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.keeper.facts().data_dir
    }

    /// Whether this process runs the server, rather than having joined that of another.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.keeper.is_owner()
    }

    /// The process id of the server; while it is being restarted, that of the last one or none.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        self.keeper.server_pid()
    }

    /// Stops the server if this process owns it, and leaves it otherwise. Connections are cut,
    /// transactions rolled back; after ten seconds the server is stopped without a checkpoint.
    ///
    /// # Errors
    ///
    /// [`EmbeddedFailed`](ErrorKind::EmbeddedFailed) if the server had to be killed, or if the
    /// directory of a throw-away server could not be removed.
    pub fn stop(mut self) -> Result<()> {
        self.keeper.stop()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("url", &self.url)
            .field("data_dir", &self.data_dir())
            .field("is_owner", &self.is_owner())
            .finish_non_exhaustive()
    }
}

/// The `.lavoro` directory of the project that `from` belongs to: the nearest one that exists in
/// `from` or above it, else the one that would be made in `from`.
#[must_use]
pub fn find_project_dir(from: &Path) -> PathBuf {
    // A relative path would end before its ancestors do.
    let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    from.ancestors()
        .map(|dir| dir.join(PROJECT_DIR))
        .find(|dir| dir.is_dir())
        .unwrap_or_else(|| from.join(PROJECT_DIR))
}

/// Writes the address of a server as a URL.
fn url(facts: &lock::State) -> String {
    let mut host = String::new();
    for byte in facts.socket_dir.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            host.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(host, "%{byte:02X}");
        }
    }
    format!("postgres://{}@{host}:{}/{}", facts.user, facts.port, facts.database)
}

/// An [`EmbeddedFailed`](ErrorKind::EmbeddedFailed) error about something done to a path.
fn failed(doing: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(
        ErrorKind::EmbeddedFailed,
        format!("embedded PostgreSQL: cannot {doing} {}: {source}", path.display()),
    )
    .with_source(source)
}
