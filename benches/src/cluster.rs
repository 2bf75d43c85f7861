//! A private PostgreSQL in a temporary directory, fsync on, stopped when dropped.

use crate::Result;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CONFIG: &str = "listen_addresses = ''
shared_buffers = 2GB
max_wal_size = 8GB
checkpoint_timeout = 30min
max_connections = 120
track_io_timing = off
";

/// The settings that lavoro-core gives each of its sessions.
const SESSION: [(&str, &str); 3] =
    [("enable_seqscan", "off"), ("jit", "off"), ("plan_cache_mode", "force_generic_plan")];

pub(crate) struct Cluster {
    dir: TempDir,
    bin: PathBuf,
    pid: u32,
    databases: std::cell::Cell<u32>,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let bin = find_bin()?;
        let dir = tempfile::Builder::new().prefix("lavoro-benches-").tempdir()?;
        let mut cluster = Self { dir, bin, pid: 0, databases: 0.into() };
        if is_root() {
            check(Command::new("chown").arg("postgres").arg(cluster.path()))?;
        }
        let data = cluster.path().join("data");
        check(
            cluster
                .run("initdb")
                .arg("-D")
                .arg(&data)
                .args(["-A", "trust", "-U", "postgres", "-N"]),
        )?;
        let socket = format!("unix_socket_directories = '{}'\n", cluster.path().display());
        let conf = data.join("postgresql.conf");
        fs::write(&conf, fs::read_to_string(&conf)? + CONFIG + &socket)?;
        let log = cluster.path().join("log");
        check(
            cluster.run("pg_ctl").arg("-D").arg(&data).arg("-w").arg("-l").arg(log).arg("start"),
        )?;
        let pid = fs::read_to_string(data.join("postmaster.pid"))?;
        cluster.pid = pid.lines().next().unwrap_or_default().trim().parse()?;
        Ok(cluster)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A server program, as the user that may run it.
    fn run(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.path()).stdout(Stdio::null());
        command
    }

    /// Makes an empty database with Lavoro's schema.
    pub(crate) async fn database(&self) -> Result<Database> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("bench{number}");
        let mut admin = self.options("postgres").connect_plain().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await?;
        let socket = self.path().to_owned();
        let database = Database { options: self.options(&name), name, socket };
        let mut connection = database.connect().await?;
        sqlx::raw_sql(include_str!("../../migrations/schema.sql")).execute(&mut connection).await?;
        Ok(database)
    }

    pub(crate) async fn drop(&self, database: Database) -> Result<()> {
        let mut admin = self.options("postgres").connect_plain().await?;
        let drop = format!("drop database {} with (force)", database.name);
        sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await?;
        Ok(())
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.path())
            .username("postgres")
            .database(database)
            .options(SESSION)
    }

    /// How many milliseconds the logged statements took that begin so; then forgets the log.
    pub(crate) fn durations(&self, beginning: &str) -> Result<Vec<f64>> {
        let path = self.path().join("log");
        let log = fs::read_to_string(&path)?;
        let took = log.lines().filter(|line| line.contains(beginning)).filter_map(|line| {
            let (_, rest) = line.split_once("duration: ")?;
            rest.split_once(" ms  execute")?.0.parse().ok()
        });
        let took = took.collect();
        fs::File::create(&path)?; // the server appends
        Ok(took)
    }

    /// Seconds of CPU that the server's processes have used, ended ones included.
    pub(crate) fn cpu(&self) -> f64 {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
            let field: Vec<u64> = rest.split(' ').map(|f| f.parse().unwrap_or(0)).collect();
            if entry.file_name().to_str() == Some(&*self.pid.to_string()) {
                ticks += field[13] + field[14];
            } else if field[1] == u64::from(self.pid) {
                ticks += field[11] + field[12];
            }
        }
        ticks as f64 / 100.0
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.path().join("data");
        let stop =
            check(self.run("pg_ctl").arg("-D").arg(data).args(["-m", "immediate", "-w", "stop"]));
        if let Err(error) = stop {
            eprintln!("the server could not be stopped: {error}");
        }
    }
}

trait ConnectPlain {
    async fn connect_plain(&self) -> Result<PgConnection>;
}

impl ConnectPlain for PgConnectOptions {
    async fn connect_plain(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect_with(self).await?)
    }
}

/// One database of the cluster.
#[derive(Clone)]
pub(crate) struct Database {
    options: PgConnectOptions,
    name: String,
    socket: PathBuf,
}

impl Database {
    /// A session with the settings of a client.
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        self.options.connect_plain().await
    }

    pub(crate) async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(())
    }

    pub(crate) async fn number(&self, sql: &str) -> Result<i64> {
        let mut connection = self.connect().await?;
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.unwrap_or(0))
    }

    /// Asks again, every `pause`, until the number is at least `wanted`; for a minute at most.
    pub(crate) async fn reach(&self, sql: &str, wanted: i64, pause: Duration) -> Result<()> {
        let start = Instant::now();
        while self.number(sql).await? < wanted {
            if start.elapsed() > Duration::from_mins(1) {
                return Err(format!("gave up waiting for {wanted}: {sql}").into());
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// The URL of the database. Every statement that a client sends there is logged with its
    /// duration.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost/{}?host={}&options=-c%20log_min_duration_statement%3D0\
             %20-c%20log_parameter_max_length%3D0",
            self.name,
            self.socket.display()
        )
    }

    /// How many bytes of WAL the server has written.
    pub(crate) async fn wal(&self) -> Result<i64> {
        self.number("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").await
    }

    /// Makes statistics and pages fresh.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.execute("vacuum analyze").await?;
        self.execute("checkpoint").await
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

fn check(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn find_bin() -> Result<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::env::var_os("LAVORO_PG_BIN").into_iter().map(PathBuf::from).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    debian.sort_by(|a, b| b.cmp(a));
    found.extend(debian);
    found
        .into_iter()
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .ok_or_else(|| "no initdb of PostgreSQL found: set LAVORO_PG_BIN".into())
}
