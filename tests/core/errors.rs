//! What goes wrong around a database, each with its stable code, a message that says what to do,
//! and never a password.

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use lavoro_core::{
    ConnectOptions, Error, ErrorKind, Job, Lavoro, Migrations, NewJob, Outcome, Timing, Worker,
};
use lavoro_tests::Database;
use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

const SECRET: &str = "s3cr3t-pa55";

async fn refusal(options: ConnectOptions) -> Error {
    Lavoro::connect_with(options).await.unwrap_err()
}

/// Neither the message nor what debugging prints shows the password.
fn assert_refused(error: &Error, kind: ErrorKind, remedy: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(remedy), "{error} should say {remedy:?}");
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(shown, " {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!shown.contains(SECRET), "the password is shown: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_understood_is_refused() {
    for url in [
        format!("mysql://root:{SECRET}@h/d"),
        format!("root:{SECRET}@h/d"),
        format!("postgres://root:{SECRET}@h:port/d"),
        format!("postgres://root:{SECRET}@[::1/d"),
        format!("postgres://root:{SECRET}@h/d?pooler=statement"),
        format!("postgres://root:{SECRET}@h/d?sslmode=perhaps"),
        String::new(),
        "memory".to_owned(),
    ] {
        let error = refusal(ConnectOptions::url(&url)).await;
        assert_refused(&error, ErrorKind::InvalidUrl, "database URL");
        assert!(!error.is_transient());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_unreachable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://root:{SECRET}@127.0.0.1:{port}/d");
    let error = refusal(ConnectOptions::url(url)).await;
    assert_refused(&error, ErrorKind::ConnectionFailed, "");
    assert!(error.is_transient());
    let url = format!("postgres://root:{SECRET}@%2Fno%2Fsuch%2Fsocket/d");
    let error = refusal(ConnectOptions::url(url)).await;
    assert_refused(&error, ErrorKind::ConnectionFailed, "cannot be reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_database_is_named() {
    let database = Database::empty().await;
    let url = format!("{}_missing", database.direct);
    assert_refused(
        &refusal(ConnectOptions::url(url)).await,
        ErrorKind::DatabaseMissing,
        "create it",
    );
}

/// A server that asks the role `guarded` for its password.
fn guarded_server(dir: &std::path::Path) -> Embedded {
    let hba = dir.join("hba.conf");
    std::fs::write(&hba, "local all guarded scram-sha-256\nlocal all all trust\n").unwrap();
    let mut options = EmbeddedOptions::memory();
    options.settings = vec![("hba_file".into(), hba.to_str().unwrap().to_owned())];
    Embedded::start(options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_the_right_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let server = tokio::task::spawn_blocking(move || guarded_server(&path)).await.unwrap();
    let admin = sqlx::PgPool::connect(&server.url()).await.unwrap();
    let role = format!("create role guarded login password '{SECRET}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(role)).execute(&admin).await.unwrap();
    sqlx::raw_sql("grant create on database lavoro to guarded").execute(&admin).await.unwrap();
    let (_, address) =
        server.url().split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    for password in [format!(":{SECRET}x"), String::new()] {
        let url = format!("postgres://guarded{password}@{address}");
        let error = refusal(ConnectOptions::url(url)).await;
        let kinds = [ErrorKind::AuthenticationFailed];
        assert!(kinds.contains(&error.kind()), "{password:?}: {error:?}");
        assert_refused(&error, error.kind(), "password");
    }
    let url = format!("postgres://guarded:{SECRET}@{address}");
    let options = ConnectOptions { migrate: Some(true), ..ConnectOptions::url(url) };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    assert!(!format!("{lavoro:?}").contains(SECRET), "a client shows its password");
    lavoro.close().await;
    admin.close().await;
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_named() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let name: String = database.one("select current_database()::text").await;
    database.run(&format!("alter database {name} set default_transaction_read_only = on")).await;
    let error = refusal(ConnectOptions::url(&database.url)).await;
    assert_refused(&error, ErrorKind::ReadOnly, "primary");
    let migrations = Migrations::open(ConnectOptions::url(&database.url)).await.unwrap();
    assert_refused(&migrations.apply().await.unwrap_err(), ErrorKind::ReadOnly, "primary");
    // A client that was connected before keeps trying for as long as it was told.
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let options = ConnectOptions {
        enqueue_timeout: Duration::from_millis(500),
        ..ConnectOptions::url(&database.url)
    };
    database.run(&format!("alter database {name} reset default_transaction_read_only")).await;
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    database.run(&format!("alter database {name} set default_transaction_read_only = on")).await;
    let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                     where datname = current_database() and application_name = 'lavoro'";
    assert!(database.one::<i64>(terminate).await > 0);
    let error = lavoro.enqueue(NewJob::new("t", ())).await.unwrap_err();
    assert_refused(&error, ErrorKind::ReadOnly, "read-only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_which_it_lacks() {
    let database = Database::new().await;
    let name: String = database.one("select current_database()::text").await;
    database.run(&format!("create role poor_{name} login")).await;
    let (_, address) = database.direct.split_once('@').unwrap();
    let url = format!("postgres://poor_{name}@{address}");
    let error = refusal(ConnectOptions::url(&url)).await;
    assert_refused(&error, ErrorKind::PermissionDenied, "lavoro");
    let options = ConnectOptions { schema: Some("other".into()), ..ConnectOptions::url(&url) };
    let error = Migrations::open(options).await.unwrap().apply().await.unwrap_err();
    assert_refused(&error, ErrorKind::PermissionDenied, "database");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_out_of_range_name_their_range() {
    let database = Database::new().await;
    let base = || ConnectOptions::url(&database.url);
    let quick = Timing { lease: Duration::from_secs(5), ..Timing::default() };
    let cases = [
        ("pool_size", ConnectOptions { pool_size: 0, ..base() }),
        ("pool_size", ConnectOptions { pool_size: 101, ..base() }),
        ("enqueue_timeout", ConnectOptions { enqueue_timeout: Duration::ZERO, ..base() }),
        ("statement_timeout", ConnectOptions { statement_timeout: Duration::MAX, ..base() }),
        ("lease", ConnectOptions { timing: quick, ..base() }),
        ("schema", ConnectOptions { schema: Some(String::new()), ..base() }),
        ("schema", ConnectOptions { schema: Some("pg_jobs".into()), ..base() }),
        ("schema", ConnectOptions { schema: Some("a".repeat(64)), ..base() }),
        ("schema", ConnectOptions { schema: Some("a\nb".into()), ..base() }),
    ];
    for (field, options) in cases {
        let error = refusal(options).await;
        assert_refused(&error, ErrorKind::InvalidOption, field);
        assert!(error.message().contains("it takes"), "{error}");
    }
    let lavoro = database.lavoro().await;
    let builder = || Worker::builder(&lavoro).handler("t", |_| async { Outcome::complete() });
    for (builder, kind) in [
        (builder().queue("default", 0), ErrorKind::InvalidOption),
        (builder().queue("default", 10_001), ErrorKind::InvalidOption),
        (builder().concurrency(0), ErrorKind::InvalidOption),
        (builder().queue("", 1), ErrorKind::InvalidQueue),
        (builder().handler("", |_: Job| async { Outcome::complete() }), ErrorKind::InvalidTask),
        (
            builder().handler("t", |_: Job| async { Outcome::complete() }),
            ErrorKind::DuplicateHandler,
        ),
        (Worker::builder(&lavoro), ErrorKind::InvalidOption),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_refused(&error, kind, "");
    }
    let missing = lavoro.job(i64::MAX).info().await.unwrap_err();
    assert_refused(&missing, ErrorKind::JobNotFound, "9223372036854775807");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_client_says_so() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    lavoro.close().await;
    for error in [
        lavoro.enqueue(NewJob::new("t", ())).await.unwrap_err(),
        lavoro.enqueue_many([NewJob::new("t", ())]).await.unwrap_err(),
        lavoro.enqueue(NewJob::new("t", ()).unique_key("k")).await.unwrap_err(),
        job.info().await.unwrap_err(),
    ] {
        assert_refused(&error, ErrorKind::Closed, "closed");
    }
    database.assert_sound().await;
}
