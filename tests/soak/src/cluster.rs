//! A PostgreSQL of the run's own, which can be shot, stopped, filled up and sent through time.

use crate::Result;
use crate::disk::{Disk, run};
use crate::fault::Class;
use crate::options::Options;
use lavoro_core::{ConnectOptions, Migrations};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CONFIG: &str = "listen_addresses = ''
max_connections = 50
superuser_reserved_connections = 3
shared_buffers = 256MB
max_wal_size = 512MB
checkpoint_timeout = 1min
log_min_messages = warning
log_min_error_statement = panic
";

/// Megabytes of the small disk: what a run of an hour or so needs.
const DISK: u64 = 2000;

/// Where Debian keeps libfaketime; `LAVORO_FAKETIME` names another place.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The server.
pub(crate) struct Cluster {
    // In the order in which they must go: the server stops first, in `drop`.
    pub(crate) disk: Option<Disk>,
    bin: PathBuf,
    data: PathBuf,
    faketime: Option<PathBuf>,
    clock: PathBuf,
    home: TempDir,
}

impl Cluster {
    pub(crate) fn start(options: &Options) -> Result<Self> {
        let strikes = |class| options.faults.iter().any(|(c, count)| *c == class && *count > 0);
        let home = tempfile::Builder::new().prefix("lavoro-soak-").tempdir()?;
        let at = home.path().join("disk");
        fs::create_dir(&at)?;
        let image = home.path().join("image");
        let disk = strikes(Class::DiskFull).then(|| Disk::mount(&at, &image, DISK)).transpose()?;
        let faketime = strikes(Class::ClockJump).then(faketime).transpose()?;
        let clock = home.path().join("clock");
        fs::write(&clock, "+0\n")?;
        let data = at.join("data");
        let cluster = Self { disk, bin: find_bin()?, data, faketime, clock, home };
        if nix::unistd::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres"]).arg(cluster.home.path()))?;
        }
        run(cluster
            .command("initdb")
            .arg("-D")
            .arg(&cluster.data)
            .args(["-A", "trust", "-U", "postgres", "-N", "-E", "UTF8"]))?;
        let conf = cluster.data.join("postgresql.conf");
        let own = format!(
            "{CONFIG}fsync = {}\nunix_socket_directories = '{}'\n",
            if options.fsync { "on" } else { "off" },
            cluster.home.path().display()
        );
        fs::write(&conf, fs::read_to_string(&conf)? + &own)?;
        cluster.up()?;
        Ok(cluster)
    }

    /// Makes the schema, and what the jobs write into.
    pub(crate) async fn prepare(&self) -> Result<()> {
        Migrations::open(ConnectOptions::url(self.url())).await?.apply().await?;
        let mut session = PgConnection::connect(&self.url()).await?;
        let sql = "create table public.effect (job_id bigint not null, token uuid not null);
                   create table public.probe (at bigint not null)";
        sqlx::raw_sql(sql).execute(&mut session).await?;
        Ok(())
    }

    /// Its address, without a network.
    pub(crate) fn url(&self) -> String {
        let home = self.home.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{home}:5432/postgres")
    }

    pub(crate) fn pool(&self) -> Result<PgPool> {
        let patience = Duration::from_secs(20);
        Ok(PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(patience)
            .connect_lazy(&self.url())?)
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("server.log")
    }

    /// The server's last words.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Keeps the server's log with the ledgers.
    pub(crate) fn keep_log(&self, dir: &std::path::Path) {
        let _ = fs::copy(self.log(), dir.join("server.log"));
    }

    /// Starts it, however often that takes: after a full disk the first start may fail.
    pub(crate) fn up(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let started = run(self
                .command("pg_ctl")
                .arg("-D")
                .arg(&self.data)
                .arg("-l")
                .arg(self.log())
                .args(["-w", "-s", "start"])
                .stdin(Stdio::null()));
            if started.is_ok() || self.is_up() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the server does not start:\n{}", self.last_words()).into());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        run(self.command("pg_isready").arg("-q").arg("-h").arg(self.home.path())).is_ok()
    }

    /// An immediate shutdown: no checkpoint, no word to anyone.
    pub(crate) fn down(&self) -> Result<()> {
        run(self.command("pg_ctl").arg("-D").arg(&self.data).args([
            "-m",
            "immediate",
            "-w",
            "-s",
            "stop",
        ]))
    }

    /// How far the server's clock is ahead, in seconds.
    pub(crate) fn set_clock(&self, seconds: i64) -> Result<()> {
        let fresh = self.clock.with_extension("new");
        fs::write(&fresh, format!("{seconds:+}\n"))?;
        Ok(fs::rename(fresh, &self.clock)?)
    }

    /// A server program, as the user that may run it.
    fn command(&self, program: &str) -> Command {
        let mut words = vec![];
        if nix::unistd::geteuid().is_root() {
            words.extend(["runuser", "-u", "postgres", "--"].map(PathBuf::from));
        }
        if let (Some(library), "pg_ctl") = (&self.faketime, program) {
            words.push("env".into());
            words.push(format!("LD_PRELOAD={}", library.display()).into());
            words.push(format!("FAKETIME_TIMESTAMP_FILE={}", self.clock.display()).into());
            words.push("FAKETIME_CACHE_DURATION=1".into());
            words.push("FAKETIME_DONT_FAKE_MONOTONIC=1".into());
        }
        words.push(self.bin.join(program));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.home.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.down() {
            eprintln!("the server was not stopped: {error}");
        }
    }
}

fn faketime() -> Result<PathBuf> {
    let path = std::env::var_os("LAVORO_FAKETIME").map_or_else(|| FAKETIME.into(), PathBuf::from);
    if path.exists() {
        return Ok(path);
    }
    Err("clock-jump needs libfaketime: apt-get install libfaketime, or LAVORO_FAKETIME".into())
}

/// Whether the clock can be faked here.
pub(crate) fn can_jump() -> bool {
    faketime().is_ok()
}

fn find_bin() -> Result<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::env::var_os("LAVORO_PG_BIN").into_iter().map(PathBuf::from).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort_by(|a, b| b.cmp(a));
    found.extend(debian);
    found
        .into_iter()
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .ok_or_else(|| "no initdb of PostgreSQL found: set LAVORO_PG_BIN".into())
}
