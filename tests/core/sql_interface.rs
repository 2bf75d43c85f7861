//! The schema's functions, called as any driver would, by friends and by foes.

use lavoro_core::{
    ConnectOptions, ErrorKind, Finish, Job, JobState, Lavoro, Migrations, NewJob, Outcome,
    PullWorker, Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick};
use sqlx::AssertSqlSafe;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// The SQLSTATE that a statement fails with.
async fn refused(database: &Database, sql: &str) -> String {
    let answer = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&database.pool).await;
    let error = answer.expect_err(sql);
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

async fn claimed(lavoro: &Lavoro) -> (PullWorker, Job) {
    let options = WorkerOptions { tasks: vec!["t".into()], timing: quick(), ..Default::default() };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    (worker, job)
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    worker.finish(vec![Finish { job: job.id(), token: job.token(), outcome }]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_and_named_arguments_arrive() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let id: i64 = database.one("select lavoro.enqueue('t')").await;
    let info = lavoro.job(id).info().await.unwrap();
    assert_eq!((info.task.as_str(), info.queue.as_str(), info.priority), ("t", "default", 0));
    assert_eq!((info.state, info.max_attempts), (JobState::Available, 20));
    assert_eq!(info.payload, serde_json::json!({}));

    let id: i64 = database
        .one(
            "select lavoro.enqueue(
                 metadata => '{\"m\": 1}', tags => '{a,b}', timeout => '90 seconds',
                 backoff => '{\"kind\": \"fixed\", \"base_ms\": 5, \"max_ms\": 5, \"jitter\": 0}',
                 unique_key => 'k', max_attempts => 3, delay => '1 hour', priority => 9,
                 queue => 'q', payload => '[1]', task => 't')",
        )
        .await;
    let info = lavoro.job(id).info().await.unwrap();
    assert_eq!((info.queue.as_str(), info.priority, info.max_attempts), ("q", 9, 3));
    assert_eq!((info.state, info.unique_key.as_deref()), (JobState::Scheduled, Some("k")));
    assert_eq!(info.payload, serde_json::json!([1]));
    assert_eq!(
        (info.tags, info.metadata),
        (vec!["a".into(), "b".into()], Some([("m", 1)].into_iter().collect()))
    );
    let ms: i32 = database.one("select timeout_ms from lavoro.jobs where unique_key = 'k'").await;
    assert_eq!(ms, 90_000);
    let again: (i64, bool) = sqlx::query_as(
        "select id, created from lavoro.enqueue_unique('t', queue => 'q', unique_key => 'k')",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(again, (id, false));
    let many: i64 = database
        .one("select count(distinct lavoro.enqueue('t', to_jsonb(n))) from generate_series(1, 100) n")
        .await;
    assert_eq!(many, 100);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_and_wrong_types_are_refused() {
    let database = Database::new().await;
    for (sql, state) in [
        ("select lavoro.enqueue(null)", "LV001"),
        ("select lavoro.enqueue('t', null)", "LV003"),
        ("select lavoro.enqueue('t', queue => null)", "LV002"),
        ("select lavoro.enqueue('t', priority => null)", "LV008"),
        ("select lavoro.enqueue('t', tags => '{a,null}')", "LV008"),
        ("select lavoro.enqueue('t', delay => '1 hour', run_at => now())", "LV007"),
        ("select lavoro.enqueue('t', delay => '-1 second')", "LV007"),
        ("select lavoro.enqueue('t', run_at => 'infinity')", "LV007"),
        ("select lavoro.enqueue('t', run_at => '-infinity')", "LV007"),
        ("select lavoro.enqueue('t', timeout => '0')", "LV008"),
        ("select lavoro.enqueue('t', timeout => '-1 day')", "LV008"),
        ("select lavoro.enqueue('t', '{\"a\":')", "22P02"),
        ("select lavoro.enqueue('t', '{}', 'q', 'high')", "22P02"),
        ("select lavoro.enqueue('t', 1)", "42883"),
        ("select lavoro.enqueue()", "42883"),
        ("select lavoro.enqueue('t', colour => 'red')", "42883"),
        ("select lavoro.cancel(0)", "LV012"),
        ("select lavoro.cancel(null)", "LV012"),
        ("select lavoro.retry(-1)", "LV012"),
        ("select lavoro.complete(1, gen_random_uuid())", "LV014"),
        ("select lavoro.complete(1, 'token')", "22P02"),
    ] {
        assert_eq!(refused(&database, sql).await, state, "{sql}");
    }
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 0);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_pins_its_search_path() {
    let database = Database::new().await;
    let loose: i64 = database
        .one(
            "select count(*) from pg_proc
             where pronamespace = 'lavoro'::regnamespace
               and 'search_path=pg_catalog, lavoro, pg_temp' <> all (coalesce(proconfig, '{}'))",
        )
        .await;
    assert_eq!(loose, 0);
    let count = "select count(*) from pg_proc where pronamespace = 'lavoro'::regnamespace";
    assert!(database.one::<i64>(count).await >= 11);
}

/// Everything of this kind that a user may create raises, so any use of it fails the call.
const TRAPS: &str = "
    create function public.trap() returns bigint language plpgsql as
        $$ begin raise exception 'trapped'; end $$;
    create function public.nextval(text) returns bigint language sql as 'select public.trap()';
    create function public.nextval(regclass) returns bigint language sql as 'select public.trap()';
    create function public.clock_timestamp() returns timestamptz language sql as
        'select to_timestamp(public.trap())';
    create function public.octet_length(text) returns int language sql as 'select public.trap()::int';
    create function public.array_remove(bigint[], bigint) returns bigint[] language sql as
        'select array[public.trap()]';
    create function public.check_name(text, text, int, text) returns void language sql as
        'select public.trap()';
    create function public.trap_op(bigint, bigint) returns boolean language sql as
        'select public.trap() = 1';
    create operator public.= (leftarg = bigint, rightarg = bigint, function = public.trap_op);
    create operator public.> (leftarg = bigint, rightarg = bigint, function = public.trap_op);
    create table public.job (id bigint); create table public.ready (id bigint);
    create table public.outcome (job_id bigint); create table public.lease (token uuid);
    create temporary table job (id bigint); create temporary table ready (id bigint);
    create temporary table scheduled (id bigint); create temporary table unique_key (key text);
    create temporary table pg_class (oid oid); create temporary view outcome as select 1 as job_id;
    create domain pg_temp.text as integer; create domain pg_temp.jsonb as integer;
    create domain pg_temp.uuid as integer;
    set search_path = pg_temp, public, pg_catalog";

#[tokio::test(flavor = "multi_thread")]
async fn shadows_of_what_the_functions_use_are_not_used() {
    let database = Database::new().await;
    let mut connection = database.pool.acquire().await.unwrap();
    sqlx::raw_sql(TRAPS).execute(&mut *connection).await.unwrap();
    // The traps work: an unqualified call falls into one.
    assert!(sqlx::raw_sql("select nextval('x')").execute(&mut *connection).await.is_err());
    for sql in [
        "select lavoro.enqueue('t', '{\"a\": 1}', unique_key => 'k')",
        "select lavoro.enqueue('t', delay => '1 hour', tags => '{a}')",
        "select id, created from lavoro.enqueue_unique('t', unique_key => 'k')",
        "select lavoro.retry(id) from lavoro.jobs where state = 'scheduled'",
        "select lavoro.cancel(id) from lavoro.jobs",
        "select lavoro.retry(id) from lavoro.jobs",
    ] {
        sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap();
    }
    connection.close().await.unwrap();
    assert_eq!(database.one::<i64>("select count(*) from lavoro.job").await, 2);
    assert_eq!(database.one::<i64>("select count(*) from public.job").await, 0);
    let available = "select count(*) from lavoro.jobs where state = 'available'";
    assert_eq!(database.one::<i64>(available).await, 2);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_takes_one_waiting_job_out_of_its_pack() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for delay in [Duration::ZERO, Duration::from_hours(1)] {
        let jobs = (0..64).map(|n| NewJob::new("t", n).delay(delay));
        let handles = lavoro.enqueue_many(jobs).await.unwrap();
        // The first names its pack, the last ends it, and the middle is just a member.
        for place in [0, 31, 63, 1] {
            let cancel = "select lavoro.cancel($1)";
            let state: String = sqlx::query_scalar(cancel)
                .bind(handles[place].id())
                .fetch_one(&database.pool)
                .await
                .unwrap();
            assert_eq!(state, "cancelled");
            assert_eq!(handles[place].info().await.unwrap().state, JobState::Cancelled);
            database.assert_sound().await;
        }
        assert_eq!(handles[0].cancel().await.unwrap(), JobState::Cancelled, "again: no matter");
        let waiting = if delay.is_zero() { JobState::Available } else { JobState::Scheduled };
        for place in (2..31).chain(32..63) {
            assert_eq!(handles[place].info().await.unwrap().state, waiting, "{place}");
        }
    }
    let cancelled = "select count(*) from lavoro.jobs where state = 'cancelled'";
    assert_eq!(database.one::<i64>(cancelled).await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_tells_a_running_handler_and_leaves_a_finished_job() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("t", |job: Job| async move {
            job.stopped().await;
            Outcome::cancel("told to")
        })
        .handler("quick", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let running = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    lavoro_tests::wait_for("it to run", async || {
        (running.info().await.unwrap().state == JobState::Running).then_some(())
    })
    .await;
    assert_eq!(running.cancel().await.unwrap(), JobState::Running);
    assert_eq!(running.cancel().await.unwrap(), JobState::Running, "a second request is no error");
    assert_eq!(running.result(LONG).await.unwrap().state, JobState::Cancelled);
    let finished = lavoro.enqueue(NewJob::new("quick", ())).await.unwrap();
    finished.result(LONG).await.unwrap();
    assert_eq!(finished.cancel().await.unwrap(), JobState::Completed);
    assert_eq!(finished.info().await.unwrap().state, JobState::Completed);
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retrying_revives_what_waits_or_has_ended_and_refuses_what_runs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = NewJob::new("t", ()).delay(LONG * 100).max_attempts(1);
    let handle = lavoro.enqueue(job).await.unwrap();
    handle.retry().await.unwrap();
    assert_eq!(handle.info().await.unwrap().state, JobState::Available);
    let (worker, job) = claimed(&lavoro).await;
    let error = handle.retry().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert!(error.message().contains("is running"), "{error}");
    finish(&worker, &job, Outcome::retry("broken")).await;
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.attempt), (JobState::Discarded, 1));
    handle.retry().await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!(job.attempt(), 2, "one more attempt is granted");
    finish(&worker, &job, Outcome::complete()).await;
    assert_eq!(handle.info().await.unwrap().state, JobState::Completed);
    handle.retry().await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!(job.attempt(), 3);
    finish(&worker, &job, Outcome::complete()).await;
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.attempt, info.errors.len()), (JobState::Completed, 3, 1));
    let past = "select count(*) from lavoro.past_outcome";
    assert_eq!(database.one::<i64>(past).await, 2, "older outcomes stay in the history");
    assert!(worker.stop(LONG).await);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_takes_the_token_of_the_current_lease() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let other = lavoro.enqueue(NewJob::new("u", ())).await.unwrap();
    let (worker, job) = claimed(&lavoro).await;
    let complete =
        |id: i64, token: uuid::Uuid| format!("select lavoro.complete({id}, '{token}', '[1]')");
    let wrong = complete(job.id(), uuid::Uuid::new_v4());
    assert_eq!(refused(&database, &wrong).await, "LV014");
    assert_eq!(refused(&database, &complete(other.id(), job.token())).await, "LV014");
    assert_eq!(handle.info().await.unwrap().state, JobState::Running);
    database.run(&complete(job.id(), job.token())).await;
    assert_eq!(refused(&database, &complete(job.id(), job.token())).await, "LV014");
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.result), (JobState::Completed, Some(serde_json::json!([1]))));
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}

/// Enqueues in each way and runs it all in the schema that the options name.
async fn runs(options: ConnectOptions) {
    let migrations = Migrations::open(options.clone()).await.unwrap();
    assert!(!migrations.apply().await.unwrap().is_empty());
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let mut handles = vec![
        lavoro.enqueue(NewJob::new("t", ())).await.unwrap(),
        lavoro.enqueue(NewJob::new("t", ()).unique_key("k")).await.unwrap(),
        lavoro.enqueue(NewJob::new("t", ()).delay(Duration::from_millis(50))).await.unwrap(),
    ];
    handles.extend(lavoro.enqueue_many([NewJob::new("t", ())]).await.unwrap());
    for handle in handles {
        assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Completed);
        handle.retry().await.unwrap();
        assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Completed);
    }
    assert!(worker.stop(LONG).await);
    lavoro.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_any_name_works() {
    let database = Database::empty().await;
    for schema in ["we\"ird schema", "'; drop schema public; --", "Größe.$1", "select"] {
        let options =
            ConnectOptions { schema: Some(schema.into()), ..ConnectOptions::url(&database.url) };
        runs(options.clone()).await;
        Migrations::open(options).await.unwrap().uninstall().await.unwrap();
    }
    let schemas = "select count(*) from pg_namespace where nspname not like 'pg\\_%'";
    assert_eq!(database.one::<i64>(schemas).await, 2, "public and information_schema are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_the_schema_and_nothing_else_suffices() {
    let database = Database::empty().await;
    let name: String = database.one("select current_database()::text").await;
    let role = format!("owner_{name}");
    database
        .run(&format!(
            "create role {role} login; create schema lavoro authorization {role};
             revoke all on schema public from public; revoke all on database {name} from public;
             grant connect on database {name} to {role}"
        ))
        .await;
    let (_, address) = database.direct.split_once('@').unwrap();
    runs(ConnectOptions::url(format!("postgres://{role}@{address}"))).await;
    database.assert_sound().await;
}
