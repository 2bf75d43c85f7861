//! A private `PgBouncer` before the tests' server.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How many sessions of the server all clients of a database share in transaction mode.
const POOL_SIZE: u32 = 2;

/// Ends the pooler when our end of the pipe closes, so also when this process is killed.
const KEEPER: &str = r#"
trap '' HUP INT TERM
"$1" -q "$2/pgbouncer.ini" >/dev/null 2>&1 & pooler=$!
read -r _
kill "$pooler"; wait "$pooler"
rm -rf "$2"
"#;

/// A running `PgBouncer`, in a directory of its own, which nobody else can reach. Ends when it is
/// dropped, or with this process.
#[derive(Debug)]
pub struct PgBouncer {
    keeper: Child,
    url: String,
}

impl PgBouncer {
    /// Starts one in a pool mode (`transaction`, `session`) before the server of an embedded URL
    /// (`postgres://user@%2Fsocket%2Fdirectory:port/database`), for all of its databases.
    ///
    /// # Panics
    /// If it is not installed: `make deps` does that.
    #[must_use]
    pub fn start(target: &str, mode: &str) -> Self {
        let program = find().expect("pgbouncer is not installed: run make deps");
        let rest = target.strip_prefix("postgres://").unwrap();
        let (user, rest) = rest.split_once('@').unwrap();
        let (host, rest) = rest.split_once(':').unwrap();
        let (port, _) = rest.split_once('/').unwrap();
        let host = host.replace("%2F", "/");
        // Elsewhere each connection has a session of its own.
        let size = if mode == "transaction" { POOL_SIZE } else { 100 };
        let dir = tempfile::Builder::new().prefix("lavoro-pooler-").tempdir().unwrap().keep();
        let here = dir.display();
        let text = format!(
            "[databases]\n* = host={host} port={port} user={user}\n[pgbouncer]\n\
             listen_addr =\nlisten_port = 6432\nunix_socket_dir = {here}\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 1000\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        std::fs::write(dir.join("pgbouncer.ini"), text).unwrap();
        // It refuses to run as root, and must be able to enter the server's directory.
        let owner = std::fs::metadata(&host).unwrap();
        chown(&dir, Some(owner.uid()), Some(owner.gid())).unwrap();
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh"])
            .args([program.as_os_str(), dir.as_os_str()])
            .current_dir("/")
            .stdin(Stdio::piped())
            .uid(owner.uid())
            .gid(owner.gid())
            .spawn()
            .unwrap();
        let url = format!("postgres://{user}@{}:6432", here.to_string().replace('/', "%2F"));
        let pooler = Self { keeper, url };
        let socket = dir.join(".s.PGSQL.6432");
        let deadline = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "pgbouncer does not answer at {}", socket.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        pooler
    }

    /// How clients reach a database through it; like the URL of an embedded server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.url)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    dirs.map(|dir| dir.join("pgbouncer")).find(|program| program.is_file())
}
