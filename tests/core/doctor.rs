//! The doctor finds what was broken on purpose, names it, and only reads.

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use lavoro_core::{ConnectOptions, Finding, FindingStatus, Job, Lavoro, NewJob, Worker};
use lavoro_tests::{Database, PATIENCE, Quick as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::time::Duration;

use FindingStatus::{Ok as Fine, Problem, Warning};

async fn diagnose(url: &str) -> Vec<Finding> {
    Lavoro::diagnose_at(ConnectOptions::url(url)).await.unwrap()
}

fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no finding of {check} among {findings:#?}"))
}

/// The check says this much, and names that.
fn assert_found(findings: &[Finding], check: &str, status: FindingStatus, named: &str) {
    let finding = of(findings, check);
    assert_eq!(finding.status, status, "{finding:#?}");
    assert!(finding.found.contains(named), "{named:?} is not named: {finding:#?}");
    assert_eq!(finding.remedy.is_none(), status == Fine, "{finding:#?}");
}

async fn connection(url: &str, first: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(first.to_owned())).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throw_away_server_is_well_but_for_its_durability() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .quick()
        .handler("echo", |job: Job| async move { job.payload::<i32>() })
        .start()
        .await
        .unwrap();
    lavoro.enqueue(NewJob::new("echo", 7)).await.unwrap().result(PATIENCE).await.unwrap();
    let findings = lavoro.diagnose().await.unwrap();
    let bad: Vec<_> = findings.iter().filter(|f| f.status == Problem).map(|f| f.check).collect();
    assert_eq!(bad, ["fsync", "full_page_writes", "synchronous_commit"], "{findings:#?}");
    assert_found(&findings, "schema", Fine, "lavoro");
    assert_found(&findings, "listen", Fine, "came back");
    assert_found(&findings, "pooler", Fine, "keep their session");
    assert_found(&findings, "prepared_statements", Fine, "again");
    assert_found(&findings, "workers", Fine, "1 worker(s) live");
    assert_found(&findings, "worker_versions", Fine, env!("CARGO_PKG_VERSION"));
    assert!(findings.len() > 25, "{}", findings.len());
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_do_not_wait_are_found_where_they_are_set() {
    let database = Database::new().await;
    // The tests' server is a throw-away one, which does not wait.
    let by_url =
        |value: &str| format!("{}?options=-c%20synchronous_commit%3D{value}", database.direct);
    let findings = diagnose(&database.url).await;
    assert_found(
        &findings,
        "synchronous_commit",
        Problem,
        "this session: off (configuration file)",
    );
    assert_found(&diagnose(&by_url("on")).await, "synchronous_commit", Fine, "disk");
    let name: String = database.one("select current_database()::text").await;
    let role = format!("hasty_{name}");
    database
        .run(&format!(
            "alter database {name} set synchronous_commit = off;
             create role {role} login; alter role {role} set synchronous_commit = off"
        ))
        .await;
    let findings = diagnose(&by_url("on")).await;
    assert_found(&findings, "synchronous_commit", Problem, &format!("database {name}"));
    assert_found(&findings, "synchronous_commit", Problem, &format!("role {role}"));
    database.run(&format!("drop role {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_a_client_refuses_is_diagnosed_all_the_same() {
    let database = Database::empty().await;
    assert_found(&diagnose(&database.url).await, "schema", Problem, "there is no schema");
    let database = Database::new().await;
    database.run("insert into lavoro.migration (version, name) values (999, 'later')").await;
    assert_found(&diagnose(&database.url).await, "schema", Problem, "has version 999");
    database.run("delete from lavoro.migration where version > 1").await;
    assert_found(&diagnose(&database.url).await, "schema", Problem, "has version 1;");
    let name: String = database.one("select current_database()::text").await;
    let set = format!("alter database {name} set default_transaction_read_only = on");
    database.run(&set).await;
    assert_found(&diagnose(&database.url).await, "read_only", Problem, "read-only");
    let gone = Lavoro::diagnose_at(ConnectOptions::url("postgres://nobody@127.0.0.1:1/none")).await;
    assert_eq!(gone.unwrap_err().code(), "connection_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_few_rights_is_told_what_it_could_not_see() {
    let database = Database::new().await;
    let name: String = database.one("select current_database()::text").await;
    let role = format!("meek_{name}");
    database.run(&format!("create role {role} login")).await;
    let url = database.direct.replacen("//lavoro@", &format!("//{role}@"), 1);
    assert_ne!(url, database.direct);

    let findings = diagnose(&url).await;
    assert_found(&findings, "schema", Problem, "may not use the schema");
    assert_found(&findings, "snapshots", Warning, "could not look");
    assert_found(&findings, "privileges", Warning, "may not even enqueue");

    database
        .run(&format!(
            "grant usage on schema lavoro to {role};
             grant insert on lavoro.job, lavoro.ready, lavoro.scheduled, lavoro.unique_key to {role};
             grant select on lavoro.unique_key, lavoro.jobs to {role};
             grant usage on sequence lavoro.job_id_seq to {role}"
        ))
        .await;
    let findings = diagnose(&url).await;
    assert_found(&findings, "schema", Warning, "could not look");
    assert_found(&findings, "privileges", Warning, "may enqueue, but not run jobs");
    for check in ["idle_transactions", "unserved", "workers", "leases", "maintenance"] {
        assert_found(&findings, check, Warning, "could not look");
    }
    assert_found(&findings, "objects", Fine, "are there");
    database.run(&format!("drop owned by {role}; drop role {role}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_from_the_schema_is_named() {
    let database = Database::new().await;
    database
        .run(
            "update pg_index set indisvalid = false where indexrelid = 'lavoro.ready_order'::regclass;
             alter table lavoro.lease set (autovacuum_enabled = false)",
        )
        .await;
    let findings = diagnose(&database.url).await;
    assert_found(&findings, "objects", Problem, "not usable: ready_order");
    assert_found(&findings, "autovacuum", Problem, "off for lease");
    database.run("drop index lavoro.lease_worker; drop function lavoro.has_worker").await;
    let findings = diagnose(&database.url).await;
    assert_found(&findings, "objects", Problem, "missing: lease_worker; has_worker");
    assert_found(&findings, "unserved", Warning, "could not look");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_nobody_does_is_found() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("forgotten", 1).queue("dusty")).await.unwrap();
    let later = NewJob::new("later", 1).delay(Duration::from_hours(1));
    lavoro.enqueue(later).await.unwrap();
    let findings = lavoro.diagnose().await.unwrap();
    assert_found(
        &findings,
        "unserved",
        Warning,
        "1 job(s) of task \"forgotten\" in queue \"dusty\"",
    );
    assert_found(&findings, "maintenance", Fine, "no scheduled job is late");

    database
        .run(
            "update lavoro.job set created_at = now() - interval '1 hour' where task = 'forgotten';
             update lavoro.scheduled set run_at = now() - interval '1 minute';
             insert into lavoro.producer values (gen_random_uuid(), 1, now() - interval '3 days', '{}');
             insert into lavoro.worker (beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             select now() - ago * interval '1 minute', now(), 15000, 1, name, 'h', 'rust', version,
                    '{}', '{}'
             from (values ('lost', 5, '0.0.1'), ('old', 0, '0.0.1'), ('new', 0, '0.0.2'))
                  as w (name, ago, version)",
        )
        .await;
    let findings = lavoro.diagnose().await.unwrap();
    assert_found(&findings, "unserved", Problem, "waiting for 60 min");
    assert_found(&findings, "maintenance", Problem, "1 job(s) are due");
    assert_found(&findings, "producers", Warning, "1 of ");
    assert_found(&findings, "workers", Warning, "lost silent for 5 min; 2 live");
    assert_found(&findings, "worker_versions", Warning, "0.0.1, 0.0.2");
    assert_found(&findings, "leases", Fine, "no lost worker");

    lavoro.pause_queue("dusty").await.unwrap();
    assert_found(&lavoro.diagnose().await.unwrap(), "unserved", Fine, "paused");
    let take = format!(
        "with taken as (delete from lavoro.ready returning jobs)
         insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
         select gen_random_uuid(), (select id from lavoro.worker where name = 'lost'), now(), jobs,
                '{{1}}' from taken where {} = any (jobs)",
        job.id()
    );
    database.run(&take).await;
    assert_found(&lavoro.diagnose().await.unwrap(), "leases", Problem, "lost holds 1 job(s)");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_somebody_should_look_at_are_found() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database
        .run(
            "select lavoro.schedule_add(name, 't', every => '1 day', on_lost => 'hold')
             from unnest(array['fine', 'broken', 'late', 'fresh', 'held', 'gone', 'paused']) as s (name);
             update lavoro.schedule_state set next_at = now() + interval '1 day'",
        )
        .await;
    for check in ["schedules", "schedules_held", "schedules_undeclared", "schedules_paused"] {
        assert_found(&lavoro.diagnose().await.unwrap(), check, Fine, "schedule");
    }
    let held = lavoro.run_schedule("held").await.unwrap().id();
    database
        .run(&format!(
            "update lavoro.schedule set paused_at = now() - interval '8 days' where name = 'paused';
             update lavoro.schedule set declared = 'print' where name = 'gone';
             update lavoro.schedule_state t set next_at = now() - interval '1 minute'
             from lavoro.schedule c where c.id = t.schedule_id and c.name = 'late';
             update lavoro.schedule_state t set next_at = '-infinity'
             from lavoro.schedule c where c.id = t.schedule_id and c.name = 'fresh';
             delete from lavoro.ready;
             insert into lavoro.outcome (job_id, state, attempt, finished_at) values ({held}, 3, 1, now());
             insert into lavoro.error (job_id, token, attempt, counted, kind, message, failed_at)
             values ({held}, gen_random_uuid(), 1, true, 'lost', 'gone', now())"
        ))
        .await;
    let findings = lavoro.diagnose().await.unwrap();
    assert_found(&findings, "schedules", Problem, "looked at them: \"late\" for ");
    assert_found(&findings, "schedules_held", Problem, "\"held\"");
    assert_found(&findings, "schedules_undeclared", Warning, "\"gone\"");
    assert_found(&findings, "schedules_paused", Warning, "\"paused\" for 8 days");
    assert!(!of(&findings, "schedules").found.contains("fresh"), "{findings:#?}");
    database.run("update lavoro.schedule set problem = 'no zone' where name = 'broken'").await;
    let findings = lavoro.diagnose().await.unwrap();
    assert_found(&findings, "schedules", Problem, "cannot fire: \"broken\": no zone");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_up_vacuum_is_named() {
    let mut options = EmbeddedOptions::memory();
    options.settings = [
        ("max_prepared_transactions", "2"),
        ("wal_level", "logical"),
        ("max_replication_slots", "2"),
        ("max_wal_senders", "2"),
        ("autovacuum", "off"),
        ("max_connections", "23"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let server = tokio::task::spawn_blocking(|| Embedded::start(options).unwrap()).await.unwrap();
    let url = server.url();
    lavoro_core::Migrations::open(ConnectOptions::url(&url)).await.unwrap().apply().await.unwrap();

    let idle =
        connection(&url, "set application_name = 'sleeper'; begin; table lavoro.queue").await;
    let update =
        "begin; insert into lavoro.queue values ('q', null); prepare transaction 'forgotten'";
    let mut admin = connection(&url, update).await;
    let slot = "select pg_create_logical_replication_slot('unread', 'pgoutput')";
    // Waits for transactions that write, so it comes before the next one; but the prepared one
    // would keep it waiting for ever.
    sqlx::raw_sql("commit prepared 'forgotten'").execute(&mut admin).await.unwrap();
    sqlx::raw_sql(slot).execute(&mut admin).await.unwrap();
    let update = update.replace("'q'", "'r'");
    sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut admin).await.unwrap();

    let findings = diagnose(&url).await;
    assert_found(&findings, "snapshots", Fine, "prepared 'forgotten' of lavoro");
    assert_found(&findings, "snapshots", Fine, "slot unread (unused)");
    assert_found(&findings, "idle_transactions", Fine, "sleeper");
    assert_found(&findings, "idle_transactions", Fine, "locks queue");
    assert_found(&findings, "idle_transactions", Fine, "prepared transaction 'forgotten'");
    assert_found(&findings, "autovacuum", Problem, "autovacuum is off");
    assert_found(&findings, "connections", Fine, "of 20 connections");

    let mut held = vec![idle, admin];
    while held.len() < 15 {
        held.push(connection(&url, "select 1").await);
    }
    let findings = diagnose(&url).await;
    assert_found(&findings, "connections", Warning, "of 20 connections");
    for connection in held {
        connection.close().await.unwrap();
    }
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap().unwrap();
}
