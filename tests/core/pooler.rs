//! Poolers: the doctor notices one, and what it takes away, by trying; a worker that nobody told
//! of it spoils nothing for others; and who was told works through two sessions.

use lavoro_core::{ConnectOptions, Finding, FindingStatus, Job, Lavoro, NewJob, Outcome, Worker};
use lavoro_tests::{Database, PgBouncer, Proxy, wait_for, warnings};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::path::Path;
use std::time::Duration;

/// What a worker says of a pooler that nobody told it of.
const UNTOLD: &str = "a pooler in transaction mode lies between";

/// A pooler of the test's own before its database, and the URL through it.
async fn pooler(database: &Database, mode: &'static str) -> (PgBouncer, String) {
    let (server, name) = (database.direct.clone(), database.name().to_owned());
    let pooler = tokio::task::spawn_blocking(move || PgBouncer::start(&server, mode));
    let pooler = pooler.await.unwrap();
    let url = pooler.url(&name);
    (pooler, url)
}

async fn diagnose(url: &str, transaction_pooler: bool) -> Vec<Finding> {
    let options = ConnectOptions { transaction_pooler, ..ConnectOptions::url(url) };
    Lavoro::diagnose_at(options).await.unwrap()
}

fn statuses(findings: &[Finding]) -> [FindingStatus; 3] {
    ["pooler", "prepared_statements", "listen"]
        .map(|check| findings.iter().find(|finding| finding.check == check).unwrap().status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_is_noticed_and_left_clean() {
    let database = Database::new().await;
    let (_pooler, url) = pooler(&database, "transaction").await;
    let (ok, warning, problem) =
        (FindingStatus::Ok, FindingStatus::Warning, FindingStatus::Problem);
    for _ in 0..3 {
        let findings = diagnose(&url, false).await;
        assert_eq!(statuses(&findings), [problem, problem, warning], "{findings:#?}");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let left = sqlx::raw_sql("select count(*) from pg_prepared_statements");
        let left: i64 = left.fetch_all(&mut connection).await.unwrap()[0].get(0);
        assert_eq!(left, 0, "a statement stays behind in a session that others use");
        let findings = diagnose(&url, true).await;
        assert_eq!(statuses(&findings), [ok; 3], "{findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pooler_takes_nothing_away() {
    let database = Database::new().await;
    let (_pooler, url) = pooler(&database, "session").await;
    let findings = diagnose(&url, false).await;
    assert_eq!(statuses(&findings), [FindingStatus::Ok; 3], "{findings:#?}");
    let findings = diagnose(&url, true).await;
    assert_eq!(statuses(&findings)[0], FindingStatus::Warning, "{findings:#?}");
}

async fn worker(lavoro: &Lavoro) -> Worker {
    let worker = Worker::builder(lavoro);
    worker.handler("t", async |_: Job| Outcome::complete()).start().await.unwrap()
}

/// It begins without a pooler, since this one breaks the prepared statements of who was not told.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_not_told_listens_in_no_session_of_others() {
    let database = Database::new().await;
    let (_pooler, url) = pooler(&database, "transaction").await;
    let proxy = Proxy::start(&database.direct).await;
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    let worker = worker(&lavoro).await;
    let listens = "select count(*) from pg_stat_activity
                   where datname = current_database() and query ilike 'listen%'";
    wait_for("it listens", async || (database.one::<i64>(listens).await == 1).then_some(())).await;
    assert_eq!(warnings(UNTOLD).len(), 0);
    proxy.lead_to(&url);
    proxy.cut();
    wait_for("the pooler is noticed", async || (!warnings(UNTOLD).is_empty()).then_some(())).await;
    // Two transactions at once have all sessions there are.
    let mut listening = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..2 {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let sql = "begin; select count(*) from pg_listening_channels()";
        let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap();
        listening.push(rows[0].get::<i64, _>(0));
        connections.push(connection);
    }
    assert_eq!(listening, [0, 0]);
    drop(connections);
    proxy.lead_to(&database.direct);
    proxy.cut();
    worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_workers_share_two_sessions() {
    let database = Database::new().await;
    let (_pooler, url) = pooler(&database, "transaction").await;
    let url = format!("{url}?pooler=transaction");
    let mut workers = Vec::new();
    for _ in 0..16 {
        let lavoro = Lavoro::connect(&url).await.unwrap();
        workers.push((worker(&lavoro).await, lavoro));
    }
    let enqueued = workers.iter().map(|(_, lavoro)| {
        let lavoro = lavoro.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
            }
        })
    });
    for task in enqueued.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    wait_for("all jobs to complete", async || {
        let sql = "select count(*) from lavoro.jobs where state = 'completed'";
        (database.one::<i64>(sql).await == 320).then_some(())
    })
    .await;
    let sessions = "select count(*) from pg_stat_activity
                    where datname = current_database() and application_name = 'lavoro'";
    let sessions: i64 = database.one(sessions).await;
    assert!((1..=2).contains(&sessions), "{sessions}");
    for (worker, _) in workers {
        worker.stop(Duration::from_secs(10)).await;
    }
    database.assert_sound().await;
}

/// `make test-pooler` leaves out what this list names, so a name must mean a test.
#[test]
fn the_list_of_tests_that_need_no_pooler_names_tests() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("core");
    let list = std::fs::read_to_string(directory.join("not_behind_a_pooler.txt")).unwrap();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
        let (module, function) = name.split_once("::").unwrap();
        let text = std::fs::read_to_string(directory.join(format!("{module}.rs"))).unwrap();
        assert!(text.contains(&format!("fn {function}(")), "{name} is no test: {reason}");
    }
}
