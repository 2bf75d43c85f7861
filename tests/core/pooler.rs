//! The doctor notices a pooler, and what it takes away, by trying. Needs `pgbouncer`; where that
//! is not installed there is nothing to try.

use lavoro_core::{ConnectOptions, Finding, FindingStatus, Lavoro};
use lavoro_tests::{Database, wait_for};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running `PgBouncer` in front of the tests' server.
struct PgBouncer {
    process: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl PgBouncer {
    async fn start(target: &str, mode: &str) -> Option<Self> {
        let program = find()?;
        let rest = target.strip_prefix("postgres://").unwrap();
        let (user, rest) = rest.split_once('@').unwrap();
        let (host, rest) = rest.split_once(':').unwrap();
        let (port, database) = rest.split_once('/').unwrap();
        let host = host.replace("%2F", "/");
        let here = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = tempfile::Builder::new().prefix("lavoro-pooler-").tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let config = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{database} = host={host} port={port} user={user}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {here}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
        );
        std::fs::write(&config, text).unwrap();
        // It refuses to run as root, and must be able to enter the socket's directory.
        let owner = std::fs::metadata(&host).unwrap();
        let process = Command::new(program)
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .uid(owner.uid())
            .gid(owner.gid())
            .spawn()
            .unwrap();
        let url = format!("postgres://{user}@127.0.0.1:{here}/{database}");
        let pooler = Self { process, url, _dir: dir };
        wait_for("pgbouncer answers", async || PgConnection::connect(&pooler.url).await.ok()).await;
        Some(pooler)
    }

    async fn diagnose(&self, transaction_pooler: bool) -> Vec<Finding> {
        let options = ConnectOptions { transaction_pooler, ..ConnectOptions::url(&self.url) };
        Lavoro::diagnose_at(options).await.unwrap()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    dirs.map(|dir| dir.join("pgbouncer")).find(|program| program.is_file())
}

fn statuses(findings: &[Finding]) -> [FindingStatus; 3] {
    ["pooler", "prepared_statements", "listen"]
        .map(|check| findings.iter().find(|finding| finding.check == check).unwrap().status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_is_noticed_and_left_clean() {
    let database = Database::new().await;
    let Some(pooler) = PgBouncer::start(&database.url, "transaction").await else { return };
    let (ok, warning, problem) =
        (FindingStatus::Ok, FindingStatus::Warning, FindingStatus::Problem);
    for _ in 0..3 {
        let findings = pooler.diagnose(false).await;
        assert_eq!(statuses(&findings), [problem, problem, warning], "{findings:#?}");
        let mut connection = PgConnection::connect(&pooler.url).await.unwrap();
        let left = sqlx::raw_sql("select count(*) from pg_prepared_statements");
        let left: i64 = left.fetch_all(&mut connection).await.unwrap()[0].get(0);
        assert_eq!(left, 0, "a statement stays behind in a session that others use");
        let findings = pooler.diagnose(true).await;
        assert_eq!(statuses(&findings), [ok; 3], "{findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pooler_takes_nothing_away() {
    let database = Database::new().await;
    let Some(pooler) = PgBouncer::start(&database.url, "session").await else { return };
    let findings = pooler.diagnose(false).await;
    assert_eq!(statuses(&findings), [FindingStatus::Ok; 3], "{findings:#?}");
    let findings = pooler.diagnose(true).await;
    assert_eq!(statuses(&findings)[0], FindingStatus::Warning, "{findings:#?}");
}
