//! The schema: made once however many make it, checked by every client, removed without traces.

use lavoro_core::{ConnectOptions, ErrorKind, Lavoro, Migrations, NewJob};
use lavoro_tests::Database;

async fn open(options: ConnectOptions) -> Migrations {
    Migrations::open(options).await.unwrap()
}

async fn works(database: &Database) {
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_apply_each_version_once() {
    for transaction_pooler in [false, true] {
        let database = Database::empty().await;
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let options =
                    ConnectOptions { transaction_pooler, ..ConnectOptions::url(&database.url) };
                tokio::spawn(async move { open(options).await.apply().await.unwrap() })
            })
            .collect();
        let mut applied = Vec::new();
        for call in calls {
            applied.extend(call.await.unwrap());
        }
        let versions: Vec<i32> =
            lavoro_migrations::MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(applied, versions, "one applied all, the others nothing");
        let recorded: Vec<i32> =
            sqlx::query_scalar("select version from lavoro.migration order by version")
                .fetch_all(&database.pool)
                .await
                .unwrap();
        assert_eq!(recorded, versions);
        works(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let again = open(ConnectOptions::url(&database.url)).await;
    assert_eq!(again.dry_run().await.unwrap(), "");
    assert_eq!(again.apply().await.unwrap(), Vec::<i32>::new());
    assert!(job.info().await.is_ok());
    // A client may migrate as it connects.
    let options = ConnectOptions { migrate: Some(true), ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap();
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_what_makes_a_working_schema_and_makes_none() {
    for schema in ["lavoro", "we\"ird 'schema'; --"] {
        let database = Database::empty().await;
        let options =
            ConnectOptions { schema: Some(schema.into()), ..ConnectOptions::url(&database.url) };
        let migrations = open(options.clone()).await;
        let sql = migrations.dry_run().await.unwrap();
        let error = Lavoro::connect_with(options.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMissing, "nothing was made: {error}");
        database.run(&sql).await;
        assert_eq!(migrations.dry_run().await.unwrap(), "");
        let lavoro = Lavoro::connect_with(options).await.unwrap();
        let job = lavoro.enqueue(NewJob::new("t", "x")).await.unwrap();
        assert_eq!(job.info().await.unwrap().payload, "x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_file_executes() {
    let database = Database::empty().await;
    database.run(include_str!("../../migrations/schema.sql")).await;
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_refuses_a_schema_of_another_version() {
    let database = Database::new().await;
    let refusal = async || Lavoro::connect(&database.url).await.unwrap_err();
    database
        .run("delete from lavoro.migration where version = (select max(version) from lavoro.migration)")
        .await;
    let error = refusal().await;
    assert_eq!(error.kind(), ErrorKind::SchemaOutdated);
    assert!(error.message().contains("lavoro migrate"), "{error}");

    database.run("insert into lavoro.migration (version, name) values (99, 'later')").await;
    let error = refusal().await;
    assert_eq!(error.kind(), ErrorKind::SchemaNewer);
    assert!(error.message().contains("99") && error.message().contains("upgrade"), "{error}");
    let migrations = open(ConnectOptions::url(&database.url)).await;
    assert_eq!(migrations.apply().await.unwrap_err().kind(), ErrorKind::SchemaNewer);

    let database = Database::empty().await;
    let error = Lavoro::connect(&database.url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMissing);
    assert!(error.message().contains("lavoro migrate"), "{error}");
    let options =
        ConnectOptions { schema: Some("jobs".into()), ..ConnectOptions::url(&database.url) };
    let error = Lavoro::connect_with(options).await.unwrap_err();
    assert!(error.message().contains("--schema"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_migration_leaves_nothing_behind() {
    let database = Database::empty().await;
    // Something of this name is in the way of a later statement.
    database.run("create schema lavoro; create table lavoro.cancel_request (x int)").await;
    let migrations = open(ConnectOptions::url(&database.url)).await;
    let error = migrations.apply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database, "{error}");
    let tables = "select count(*) from pg_tables where schemaname = 'lavoro'";
    assert_eq!(database.one::<i64>(tables).await, 1);
    database.run("drop table lavoro.cancel_request").await;
    migrations.apply().await.unwrap();
    works(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstalling_leaves_nothing_but_what_others_made() {
    let left = "select count(*) from pg_depend d join pg_namespace n
                on d.refobjid = n.oid and d.refclassid = 'pg_namespace'::regclass
                where n.nspname = 'lavoro'";
    let schemas = "select count(*) from pg_namespace where nspname = 'lavoro'";
    let database = Database::new().await;
    let migrations = open(ConnectOptions::url(&database.url)).await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    lavoro.close().await;
    database.run("create table lavoro.others (x int); insert into lavoro.others values (1)").await;
    migrations.uninstall().await.unwrap();
    assert_eq!(database.one::<i64>("select count(*) from lavoro.others").await, 1);
    assert_eq!(database.one::<i64>(left).await, 1, "objects left in the schema");
    migrations.uninstall().await.unwrap(); // a second time does nothing
    migrations.apply().await.unwrap();
    works(&database).await;
    database.run("drop table lavoro.others").await;
    migrations.uninstall().await.unwrap();
    assert_eq!(database.one::<i64>(schemas).await, 0);
    migrations.apply().await.unwrap();
    works(&database).await;
}
