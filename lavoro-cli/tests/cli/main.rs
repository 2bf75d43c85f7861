//! The real program against a real PostgreSQL: what each command says, and its exit code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod completions;
mod dev;
mod doctor;
mod figures;
mod jobs;
mod locks;
mod logs;
mod queues;
mod retention;
mod schedules;
mod support;
mod top;
mod why;
mod worker;
mod workers;

use serde_json::{Value, json};
use support::{Schema, lavoro};

#[test]
fn help_and_version() {
    let help = lavoro(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Exit codes:"), "{}", help.stdout);
    let version = lavoro(&["--version"]);
    assert_eq!(version.stdout.trim(), format!("lavoro {}", env!("CARGO_PKG_VERSION")));
    for command in support::commands() {
        assert_eq!(lavoro(&[&command, "--help"]).code, 0, "{command}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    assert_eq!(lavoro(&["enqueue"]).code, 2);
    let answer = lavoro(&["enqueue", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (2, "usage"));
}

#[test]
fn a_database_that_cannot_be_reached_is_exit_code_4() {
    let url = "postgres://nobody@127.0.0.1:1/none";
    let answer = lavoro(&["queues", "list", "--json", "--database-url", url]);
    assert_eq!((answer.code, answer.error_code().as_str()), (4, "connection_failed"));
    let answer = lavoro(&["queues", "list", "--database-url", "mysql://h/d"]);
    assert_eq!(answer.code, 2);
    assert!(answer.stderr.starts_with("error [invalid_url]: "), "{}", answer.stderr);
}

#[test]
fn migrate_applies_shows_and_removes() {
    let schema = Schema::empty("migrate");
    let missing = schema.run(&["queues", "list", "--json"]);
    assert_eq!((missing.code, missing.error_code().as_str()), (5, "schema_missing"));
    let sql = schema.run(&["migrate", "--dry-run"]);
    assert!(sql.stdout.to_lowercase().contains("create table"), "{}", sql.stdout);
    assert_eq!(schema.run(&["queues", "list"]).code, 5, "a dry run changes nothing");

    let applied = schema.json(&["migrate"]);
    assert!(!applied["applied"].as_array().unwrap().is_empty());
    assert_eq!(schema.json(&["migrate"]), json!({"applied": []}));
    assert_eq!(schema.run(&["migrate", "--dry-run"]).stdout, "");
    assert_eq!(schema.run(&["queues", "list"]).code, 0);

    assert_eq!(schema.run(&["migrate", "--uninstall"]).code, 2);
    assert_eq!(schema.run(&["queues", "list"]).code, 0, "nothing happens without --yes");
    assert_eq!(schema.json(&["migrate", "--uninstall", "--yes"]), json!({"uninstalled": true}));
    assert_eq!(schema.run(&["queues", "list"]).code, 5);
}

#[test]
fn enqueue_prints_the_id_and_takes_every_option() {
    let schema = Schema::new("enqueue");
    assert_eq!(schema.run(&["enqueue", "greet"]).stdout, "1\n");
    let options = [
        "enqueue",
        "greet",
        "[1]",
        "--queue",
        "mail",
        "--delay",
        "2h",
        "--priority",
        "-3",
        "--max-attempts",
        "4",
        "--unique-key",
        "k",
        "--timeout",
        "30s",
        "--tag",
        "a",
        "--tag",
        "b",
    ];
    assert_eq!(schema.json(&options), json!({"id": "2", "created": true, "handled": false}));
    assert_eq!(schema.json(&options), json!({"id": "2", "created": false, "handled": false}));
    let job = schema.json(&["jobs", "show", "2"]);
    assert_eq!(job["id"], "2");
    assert_eq!(job["payload"], json!([1]));
    assert_eq!((&job["queue"], &job["state"]), (&json!("mail"), &json!("scheduled")));
    assert_eq!((&job["priority"], &job["max_attempts"]), (&json!(-3), &json!(4)));
    assert_eq!((&job["unique_key"], &job["tags"]), (&json!("k"), &json!(["a", "b"])));

    // A refused key may use a number up, so they need not be consecutive.
    let at = schema.json(&["enqueue", "greet", "--at", "2999-01-31T10:00:00+01:00"]);
    let job = schema.json(&["jobs", "show", at["id"].as_str().unwrap()]);
    assert_eq!(job["run_at"], "2999-01-31T09:00:00Z");
    let piped = schema.run_with(&["enqueue", "greet", "-"], "{\"from\": \"stdin\"}");
    let job = schema.json(&["jobs", "show", piped.stdout.trim()]);
    assert_eq!(job["payload"], json!({"from": "stdin"}));
}

#[test]
fn enqueue_refuses_what_is_wrong() {
    let schema = Schema::new("refuse");
    for (args, code) in [
        (&["enqueue", "t", "--delay", "-5s"][..], "invalid_time"),
        (&["enqueue", "t", "{"], "invalid_payload"),
        (&["enqueue", ""], "invalid_task"),
        (&["enqueue", "t", "--queue", ""], "invalid_queue"),
        (&["enqueue", "t", "--max-attempts", "0"], "invalid_option"),
        (&["enqueue", "t", "[9007199254740993]"], "number_out_of_range"),
    ] {
        let answer = schema.run(&[args, &["--json"]].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (2, code), "{args:?}");
    }
    assert_eq!(schema.json(&["jobs", "list"]), json!([]));
    let waited = schema.run(&["enqueue", "t", "--wait=0", "--json"]);
    assert_eq!((waited.code, waited.error_code().as_str()), (6, "timeout"));
    assert_eq!(waited.stdout, "{\"created\":true,\"handled\":false,\"id\":\"1\"}\n");
}

#[test]
fn jobs_are_listed_cancelled_and_retried() {
    let schema = Schema::new("jobs");
    for task in ["a", "b", "a"] {
        schema.json(&["enqueue", task, "--queue", task]);
    }
    let ids = |args: &[&str]| -> Vec<Value> {
        let jobs = schema.json(&[&["jobs", "list"], args].concat());
        jobs.as_array().unwrap().iter().map(|job| job["id"].clone()).collect()
    };
    assert_eq!(ids(&[]), ["3", "2", "1"]);
    assert_eq!(ids(&["--task", "a"]), ["3", "1"]);
    assert_eq!(ids(&["--queue", "b"]), ["2"]);
    assert_eq!(ids(&["--limit", "1", "--before", "3"]), ["2"]);
    assert_eq!(schema.json(&["jobs", "cancel", "2"]), json!({"id": "2", "state": "cancelled"}));
    assert_eq!(ids(&["--state", "cancelled"]), ["2"]);
    assert_eq!(schema.json(&["jobs", "retry", "2"]), json!({"id": "2", "retried": true}));
    assert_eq!(schema.json(&["jobs", "show", "2"])["state"], "available");

    let table = schema.run(&["jobs", "list"]).stdout;
    assert!(table.starts_with("ID  TASK  QUEUE  STATE"), "{table}");
    assert!(schema.run(&["jobs", "show", "1"]).stdout.contains("payload:    {}"));
    for command in ["show", "retry", "cancel"] {
        let answer = schema.run(&["jobs", command, "99", "--json"]);
        let facts = (answer.code, answer.error_code());
        assert_eq!(facts, (3, "job_not_found".to_owned()), "{command}");
    }
}

#[test]
fn bench_measures_and_leaves_nothing_behind() {
    let schema = Schema::empty("ignored_by_bench");
    let report = schema.json(&["bench", "--jobs", "200"]);
    assert_eq!(report["drain"]["jobs"], 200);
    for figure in ["enqueue_one_by_one", "enqueue_64_concurrent", "enqueue_bulk", "drain"] {
        assert!(report[figure]["per_second"].as_f64().unwrap() > 0.0, "{figure}");
    }
    assert!(report["pickup_from_call"]["p99_ms"].as_f64().unwrap() > 0.0);
    assert!(report["steady_1000"]["latency"]["p99_ms"].as_f64().unwrap() > 0.0);
    // The database is not the benchmark's own: no table of pgbench, no old snapshot in it.
    assert_eq!((&report["bare_inserts"], &report["drain_pinned"]), (&Value::Null, &Value::Null));
    let bench = ["queues", "list", "--schema", "lavoro_bench", "--database-url"];
    assert_eq!(lavoro(&[&bench[..], &[support::url()]].concat()).code, 5);
}
