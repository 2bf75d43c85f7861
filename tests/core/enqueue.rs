//! Enqueueing: what is given arrives, calls share commits, order holds, and nothing is enqueued
//! twice, however often it is sent.

use chrono::{DateTime, TimeDelta, Utc};
use lavoro_core::{
    Backoff, ConnectOptions, ErrorKind, Job, JobHandle, JobState, Lavoro, NewJob, Outcome, Worker,
};
use lavoro_tests::{Database, Proxy, Quick as _, Reply, wait_for};
use serde_json::json;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

async fn all_at_once(
    lavoro: &Lavoro,
    jobs: impl IntoIterator<Item = NewJob>,
) -> Vec<lavoro_core::Result<JobHandle>> {
    let calls: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let lavoro = lavoro.clone();
            tokio::spawn(async move { lavoro.enqueue(job).await })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

async fn one_connection(url: String) -> Lavoro {
    let options = ConnectOptions { pool_size: 1, ..ConnectOptions::url(url) };
    Lavoro::connect_with(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn options_arrive_as_given() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let full = |task: &str| {
        NewJob::new(task, json!({"to": "ada"}))
            .queue("mail")
            .priority(-7)
            .delay(Duration::from_hours(1))
            .max_attempts(3)
            .timeout(Duration::from_millis(1500))
            .backoff(Backoff::linear(Duration::from_secs(1), Duration::from_secs(9)).jitter(0.5))
            .tags(["a", "ä \"b\", {c}"])
            .metadata(json!({"trace": [1, null]}))
    };
    let single = lavoro.enqueue(full("single")).await.unwrap();
    // Beside jobs without any of it: columns that few jobs use are not sent whole.
    let many = [NewJob::new("before", ()), full("many"), NewJob::new("after", ())];
    let many = lavoro.enqueue_many(many).await.unwrap().remove(1);
    let keyed = lavoro.enqueue(full("keyed").unique_key("k")).await.unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let inside = lavoro.enqueue_in(&mut connection, full("inside")).await.unwrap();
    drop(connection);
    for (task, handle) in [("single", single), ("many", many), ("keyed", keyed), ("inside", inside)]
    {
        let info = handle.info().await.unwrap();
        assert!(handle.is_new(), "{task}");
        assert_eq!((info.task.as_str(), info.queue.as_str(), info.priority), (task, "mail", -7));
        assert_eq!((info.state, info.attempt, info.max_attempts), (JobState::Scheduled, 0, 3));
        // The function looks at the clock twice.
        let off = (info.run_at - info.created_at - TimeDelta::seconds(3600)).abs();
        let exact = ["single", "many"].contains(&task);
        assert!(off <= TimeDelta::seconds(if exact { 0 } else { 5 }), "{task}: {off}");
        assert_eq!(info.payload, json!({"to": "ada"}), "{task}");
        assert_eq!(info.tags, ["a", "ä \"b\", {c}"], "{task}");
        assert_eq!(info.metadata, Some(json!({"trace": [1, null]})), "{task}");
        assert_eq!(info.unique_key.as_deref(), (task == "keyed").then_some("k"));
    }
    let backoffs: Vec<serde_json::Value> =
        sqlx::query_scalar("select backoff from lavoro.job where backoff is not null")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let given = json!({"kind": "linear", "base_ms": 1000, "max_ms": 9000, "jitter": 0.5});
    assert_eq!(backoffs, vec![given; 4]);
    let timeouts: i64 =
        database.one("select count(*) from lavoro.jobs where timeout_ms = 1500").await;
    assert_eq!(timeouts, 4);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_and_instants_arrive() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let plain = lavoro.enqueue(NewJob::new("t", ())).await.unwrap().info().await.unwrap();
    assert_eq!((plain.queue.as_str(), plain.priority, plain.max_attempts), ("default", 0, 20));
    assert_eq!((plain.state, plain.run_at), (JobState::Available, plain.created_at));
    assert_eq!(
        (plain.payload, plain.metadata, plain.tags, plain.unique_key),
        (serde_json::Value::Null, None, Vec::<String>::new(), None)
    );
    let past: DateTime<Utc> = "1999-12-31T23:59:59.123456Z".parse().unwrap();
    let future: DateTime<Utc> = "2999-12-31T23:59:59.123456Z".parse().unwrap();
    for (at, state) in [(past, JobState::Available), (future, JobState::Scheduled)] {
        let plain = lavoro.enqueue(NewJob::new("t", ()).run_at(at)).await.unwrap();
        let keyed = NewJob::new("t", ()).run_at(at).unique_key(at.to_string());
        let keyed = lavoro.enqueue(keyed).await.unwrap();
        for handle in [plain, keyed] {
            let info = handle.info().await.unwrap();
            assert_eq!((info.run_at, info.state), (at, state));
        }
    }
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_enqueues_share_transactions_and_get_their_own_ids() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for round in 1..=4 {
        let jobs = (0..64).map(|n| NewJob::new("t", json!([round, n])));
        let answers = all_at_once(&lavoro, jobs).await;
        for (n, answer) in answers.iter().enumerate() {
            let info = answer.as_ref().unwrap().info().await.unwrap();
            assert_eq!(info.payload, json!([round, n]), "each caller has its own id");
        }
        let ids: HashSet<_> = answers.iter().map(|answer| answer.as_ref().unwrap().id()).collect();
        assert_eq!(ids.len(), 64);
    }
    let batches: i64 = database.one("select max(seq) from lavoro.producer").await;
    assert!((4..=128).contains(&batches), "256 jobs took {batches} batches");
    let commits: i64 = database.one("select count(distinct xmin::text) from lavoro.job").await;
    assert_eq!(commits, batches, "each batch is one transaction");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_arrive_in_order_and_all_or_none() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = |bad: Option<usize>| {
        (0..5000).map(move |n| NewJob::new(if bad == Some(n) { "" } else { "t" }, n))
    };
    let error = lavoro.enqueue_many(jobs(Some(4321))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidTask);
    assert!(error.message().contains("4321"), "{error}");
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 0);

    let handles = lavoro.enqueue_many(jobs(None)).await.unwrap();
    let ids: Vec<i64> = handles.iter().map(JobHandle::id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    let stored: Vec<(i64, i32)> =
        sqlx::query_as("select id, payload::integer from lavoro.job order by id")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(stored, ids.into_iter().zip(0..5000).collect::<Vec<_>>());
    let packs: i64 = database.one("select count(*) from lavoro.ready").await;
    assert!(packs <= 90, "5000 jobs lie in {packs} packs of up to 64");

    // What the database refuses in the last statement takes the first with it.
    database.run("alter table lavoro.job add check (task <> 'refused')").await;
    let late = (0..5000).map(|n| NewJob::new(if n == 4999 { "refused" } else { "t" }, n));
    let error = lavoro.enqueue_many(late).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 5000);
    assert!(lavoro.enqueue_many([]).await.unwrap().is_empty());
    // The producer goes on after a refusal.
    assert_eq!(lavoro.enqueue_many([NewJob::new("t", ())]).await.unwrap().len(), 1);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_job_has_its_own_error_and_the_others_succeed() {
    let database = Database::new().await;
    let lavoro = one_connection(database.url.clone()).await;
    database.run("alter table lavoro.job add check (task <> 'refused')").await;
    let jobs =
        (0..64).map(|n| NewJob::new(if [3, 40, 41].contains(&n) { "refused" } else { "t" }, n));
    let answers = all_at_once(&lavoro, jobs).await;
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Ok(handle) => assert_eq!(handle.info().await.unwrap().payload, json!(n)),
            Err(error) => {
                assert!([3, 40, 41].contains(&n), "{n}: {error}");
                assert_eq!(error.kind(), ErrorKind::Database);
                assert!(error.message().contains("23514"), "{error}");
            }
        }
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 61);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn larger_priority_first_then_first_in_first_out() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let mut expected = Vec::new();
    for n in 0..100 {
        let priority = [0, 5, -5, i32::MAX, i32::MIN][n % 5];
        let job = NewJob::new("t", n).priority(priority);
        // Lone jobs and fuller packs mix.
        let handle = if n < 50 {
            lavoro.enqueue(job).await.unwrap()
        } else {
            lavoro.enqueue_many([job]).await.unwrap().remove(0)
        };
        expected.push((std::cmp::Reverse(priority), handle.id()));
    }
    for handle in lavoro.enqueue_many((0..100).map(|n| NewJob::new("t", n))).await.unwrap() {
        expected.push((std::cmp::Reverse(0), handle.id()));
    }
    expected.sort_unstable();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&ran);
    let worker = Worker::builder(&lavoro)
        .queue("default", 1)
        .handler("t", move |job: Job| {
            log.lock().unwrap().push(job.id());
            async { Outcome::complete() }
        })
        .quick()
        .start()
        .await
        .unwrap();
    wait_for("all jobs", async || (ran.lock().unwrap().len() == 200).then_some(())).await;
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(*ran.lock().unwrap(), expected);
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_runs_when_it_is_due_and_not_sooner() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("default", 1)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let delay = Duration::from_millis(700);
    let delayed = lavoro.enqueue(NewJob::new("t", ()).delay(delay)).await.unwrap();
    let now: DateTime<Utc> = database.one("select clock_timestamp()").await;
    let at = now + TimeDelta::milliseconds(700);
    let timed = lavoro.enqueue(NewJob::new("t", ()).run_at(at)).await.unwrap();
    let never = lavoro.enqueue(NewJob::new("t", ()).delay(LONG * 100)).await.unwrap();
    for handle in [delayed, timed] {
        let result = handle.result(LONG).await.unwrap();
        assert_eq!(result.state, JobState::Completed);
        let info = handle.info().await.unwrap();
        let late = info.started_at.unwrap() - info.run_at;
        assert!(late >= TimeDelta::zero(), "ran {late} after it was due");
        assert!(late < TimeDelta::seconds(10), "ran {late} after it was due");
    }
    assert_eq!(never.info().await.unwrap().state, JobState::Scheduled);
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_enqueue_whose_reply_is_lost_is_applied_once() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = one_connection(proxy.url()).await;
    lavoro.enqueue(NewJob::new("t", "first")).await.unwrap(); // prepares the statement
    for n in 0..3 {
        proxy.lose(Reply::Statement);
        let handle = lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        assert_eq!(proxy.lost(), n + 1, "the reply was lost");
        assert_eq!(handle.info().await.unwrap().payload, json!(n), "the id is the job's");
        // The new connection has the statement prepared again before the next loss.
        lavoro.enqueue(NewJob::new("t", "between")).await.unwrap();
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 7);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_whose_commit_is_lost_are_applied_once() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = one_connection(proxy.url()).await;
    proxy.lose(Reply::Commit);
    let handles = lavoro.enqueue_many((0..5000).map(|n| NewJob::new("t", n))).await.unwrap();
    assert_eq!(proxy.lost(), 1, "the reply to the commit was lost");
    let stored: Vec<(i64, i32)> =
        sqlx::query_as("select id, payload::integer from lavoro.job order by id")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let answered: Vec<_> = handles.iter().map(JobHandle::id).zip(0..5000).collect();
    assert_eq!(stored, answered);
    // A reply that is lost before the commit is not the commit: everything is sent again.
    proxy.lose(Reply::Statement);
    lavoro.enqueue_many((0..3000).map(|n| NewJob::new("u", n))).await.unwrap();
    assert_eq!(proxy.lost(), 2);
    let count = "select count(*) from lavoro.job where task = 'u'";
    assert_eq!(database.one::<i64>(count).await, 3000);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_enqueues_through_cuts_are_applied_once() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let lavoro = Lavoro::connect(proxy.url()).await.unwrap();
    for round in 0..5 {
        let jobs = (0..64).map(|n| NewJob::new("t", json!([round, n])));
        let cutter = async {
            for _ in 0..20 {
                proxy.cut();
                tokio::task::yield_now().await;
            }
        };
        let (answers, ()) = tokio::join!(all_at_once(&lavoro, jobs), cutter);
        for (n, answer) in answers.into_iter().enumerate() {
            let info = answer.unwrap().info().await;
            let info = match info {
                Err(error) if error.is_transient() => continue, // an idle connection was cut
                info => info.unwrap(),
            };
            assert_eq!(info.payload, json!([round, n]));
        }
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 320);
    let distinct = "select count(distinct payload) from lavoro.job";
    assert_eq!(database.one::<i64>(distinct).await, 320);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_terminated_costs_a_retry_and_no_job() {
    let database = Database::new().await;
    let lavoro = one_connection(database.url.clone()).await;
    lavoro.enqueue(NewJob::new("t", "first")).await.unwrap();
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                     where datname = current_database() and application_name = 'lavoro'";
    for n in 0..3 {
        assert!(database.one::<i64>(terminate).await >= 1);
        lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        assert!(database.one::<i64>(terminate).await >= 1);
        lavoro.enqueue_many([NewJob::new("t", n)]).await.unwrap();
        assert!(database.one::<i64>(terminate).await >= 1);
        let keyed = NewJob::new("t", n).unique_key(n.to_string());
        assert!(lavoro.enqueue(keyed).await.unwrap().is_new());
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 10);
    database.assert_sound().await;
}
