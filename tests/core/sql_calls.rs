//! Statements for other drivers: every parameter is text, and any driver can send them.

use lavoro_core::{
    ConnectOptions, Finish, Job, JobState, Lavoro, Migrations, NewJob, Outcome, PullWorker,
    SqlCall, Verdict, WorkerOptions,
};
use lavoro_tests::Database;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The usual schema, and one whose name needs every kind of quoting.
const SCHEMAS: [&str; 2] = ["lavoro", "Jobs of \"O'Neill\" lavoro."];

async fn client(database: &Database, schema: &str) -> Lavoro {
    let options =
        || ConnectOptions { schema: Some(schema.to_owned()), ..ConnectOptions::url(&database.url) };
    Migrations::open(options()).await.unwrap().apply().await.unwrap();
    Lavoro::connect_with(options()).await.unwrap()
}

async fn claim(lavoro: &Lavoro) -> (PullWorker, Job) {
    let options = WorkerOptions { tasks: vec!["t".into()], ..Default::default() };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    (worker, job)
}

/// As a driver with binary parameters sends it: each is declared to be text.
async fn send(connection: &mut PgConnection, call: &SqlCall) -> sqlx::Result<Vec<String>> {
    let mut query = sqlx::query(AssertSqlSafe(call.text.clone()));
    for parameter in &call.parameters {
        query = query.bind(parameter.clone());
    }
    let row = query.fetch_one(connection).await?;
    Ok((0..row.len())
        .map(|n| row.try_get::<i64, _>(n).map_or_else(|_| String::new(), |id| id.to_string()))
        .collect())
}

/// As `psql` and simple drivers send it.
fn as_script(call: &SqlCall) -> String {
    let quote = |text: &String| format!("'{}'", text.replace('\'', "''"));
    let values: Vec<_> = call
        .parameters
        .iter()
        .map(|value| value.as_ref().map_or_else(|| "null".to_owned(), quote))
        .collect();
    let types = vec!["text"; values.len()].join(", ");
    format!(
        "prepare call ({types}) as {};\nexecute call ({});\ndeallocate call;\n",
        call.text,
        values.join(", ")
    )
}

fn full_job() -> NewJob {
    NewJob::new("t", json!({"quote": "it's \"here\" \\ $1", "é": [1.5, null]}))
        .queue("mail 'box'")
        .priority(-7)
        .delay(Duration::from_hours(1))
        .max_attempts(3)
        .unique_key("k's")
        .timeout(Duration::from_millis(1500))
        .backoff(lavoro_core::Backoff::fixed(Duration::from_secs(1)))
        .tags(["a,b", "{c}", "d\"'\\"])
        .metadata(json!({"by": "test"}))
        .expires_in(Duration::from_hours(2))
        .on_discarded("cleanup")
}

async fn assert_full(lavoro: &Lavoro, id: i64) {
    let info = lavoro.job(id).info().await.unwrap();
    assert_eq!(info.payload, json!({"quote": "it's \"here\" \\ $1", "é": [1.5, null]}));
    assert_eq!((info.task.as_str(), info.queue.as_str(), info.priority), ("t", "mail 'box'", -7));
    assert_eq!((info.state, info.max_attempts), (JobState::Scheduled, 3));
    assert_eq!(info.unique_key.as_deref(), Some("k's"));
    assert_eq!(info.tags, ["a,b", "{c}", "d\"'\\"]);
    assert_eq!(info.metadata, Some(json!({"by": "test"})));
    assert_eq!(info.on_discarded.as_deref(), Some("cleanup"));
    let hour = Duration::from_hours(1);
    assert!(
        (info.run_at - info.created_at - chrono::TimeDelta::hours(1)).abs().to_std().unwrap()
            < hour / 60
    );
    assert!(info.expires_at.unwrap() > info.run_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_can_be_sent_by_any_driver() {
    let database = Database::empty().await;
    for schema in SCHEMAS {
        let lavoro = client(&database, schema).await;
        let call = lavoro.enqueue_sql(full_job()).unwrap();
        let mut tx = database.pool.begin().await.unwrap();
        let answer = send(&mut tx, &call).await.unwrap();
        let id: i64 = answer[0].parse().unwrap();
        assert_eq!(lavoro.job(id).info().await.unwrap_err().code(), "job_not_found");
        tx.commit().await.unwrap();
        assert_full(&lavoro, id).await;
        let mut connection = database.pool.acquire().await.unwrap();
        let again = send(&mut connection, &call).await.unwrap();
        assert_eq!(again[0], id.to_string(), "the key's holder");
        lavoro.job(id).cancel().await.unwrap();
        // Plain text, as psql sends it.
        let script = as_script(&call);
        sqlx::raw_sql(AssertSqlSafe(script.clone())).execute(&mut *connection).await.unwrap();
        let newest = lavoro.list_jobs(lavoro_core::JobFilter::default()).await.unwrap()[0].id;
        assert!(newest > id);
        assert_full(&lavoro, newest).await;
        // The least that a job may say.
        let least = lavoro.enqueue_sql(NewJob::new("t", ())).unwrap();
        let id: i64 = send(&mut connection, &least).await.unwrap()[0].parse().unwrap();
        let info = lavoro.job(id).info().await.unwrap();
        assert_eq!((info.state, info.queue.as_str()), (JobState::Available, "default"));
        assert_eq!((info.tags.len(), info.max_attempts), (0, 20));
        let at = chrono::DateTime::from_timestamp_micros(4_102_444_800_123_456).unwrap();
        let timed = NewJob::new("t", ()).run_at(at).expires_at(at + Duration::from_secs(1));
        let timed = lavoro.enqueue_sql(timed).unwrap();
        let id: i64 = send(&mut connection, &timed).await.unwrap()[0].parse().unwrap();
        let info = lavoro.job(id).info().await.unwrap();
        assert_eq!((info.run_at, info.expires_at), (at, Some(at + Duration::from_secs(1))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_checked_first_and_tells_no_secrets() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let refused = |job| lavoro.enqueue_sql(job).unwrap_err().code();
    assert_eq!(refused(NewJob::new("", ())), "invalid_task");
    assert_eq!(refused(NewJob::new("t", "x".repeat(1 << 20))), "payload_too_large");
    assert_eq!(refused(NewJob::new("t", ()).delay_ms(-1)), "invalid_time");
    let call = lavoro.enqueue_sql(NewJob::new("t", "secret")).unwrap();
    assert!(!format!("{call:?}").contains("secret"));
    assert!(call.text.starts_with("select "), "{}", call.text);
    assert!(!call.text.contains(';'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_can_be_sent_by_any_driver() {
    let database = Database::empty().await;
    for schema in SCHEMAS {
        let lavoro = client(&database, schema).await;
        for as_text in [false, true] {
            let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
            let (worker, job) = claim(&lavoro).await;
            let call = lavoro.complete_sql(&job, json!({"it's": "done"})).unwrap();
            assert_eq!(call, lavoro.complete_sql_json(&job, Some("{\"it's\": \"done\"}")));
            let mut connection = database.pool.acquire().await.unwrap();
            if as_text {
                let script = as_script(&call);
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *connection).await.unwrap();
            } else {
                send(&mut connection, &call).await.unwrap();
            }
            let info = handle.info().await.unwrap();
            assert_eq!(
                (info.state, info.result),
                (JobState::Completed, Some(json!({"it's": "done"})))
            );
            let late = send(&mut connection, &call).await.unwrap_err();
            assert_eq!(late.as_database_error().unwrap().code().unwrap(), "LV014");
            let (job, token) = (job.id(), job.token());
            let finish = Finish { job, token, outcome: Outcome::complete() };
            assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
            worker.stop(Duration::ZERO).await;
        }
    }
}

/// The same through libpq, where `psql` is on the machine.
#[tokio::test(flavor = "multi_thread")]
async fn psql_can_send_the_calls() {
    if Command::new("psql").arg("--version").output().is_err() {
        println!("there is no psql here");
        return;
    }
    let database = Database::empty().await;
    for schema in SCHEMAS {
        let lavoro = client(&database, schema).await;
        let full = as_script(&lavoro.enqueue_sql(full_job()).unwrap());
        let least = as_script(&lavoro.enqueue_sql(NewJob::new("t", ())).unwrap());
        psql(&database.direct, &format!("begin;\n{full}{least}commit;\n"));
        let jobs = lavoro.list_jobs(lavoro_core::JobFilter::default()).await.unwrap();
        assert_full(&lavoro, jobs[1].id).await;
        let (worker, job) = claim(&lavoro).await;
        psql(&database.direct, &as_script(&lavoro.complete_sql(&job, ()).unwrap()));
        let info = lavoro.job(job.id()).info().await.unwrap();
        assert_eq!((info.state, info.result), (JobState::Completed, None));
        worker.stop(Duration::ZERO).await;
    }
}

fn psql(url: &str, script: &str) {
    let mut child = Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-At", "-f", "-", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
