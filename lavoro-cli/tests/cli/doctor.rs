//! `lavoro doctor`.

use crate::support::{Answer, Schema, lavoro, url};
use serde_json::Value;

fn report(answer: &Answer) -> Value {
    serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"))
}

fn of<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|f| f["check"] == check).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_problem_is_exit_code_1_with_a_report_on_stdout() {
    let schema = Schema::new("doctor");
    let answer = schema.run(&["doctor", "--json"]);
    // The tests' server is a throw-away one: its fsync is off.
    assert_eq!((answer.code, answer.stderr.as_str()), (1, ""), "{answer:?}");
    let report = report(&answer);
    assert_eq!(report["status"], "problem");
    let fsync = of(&report, "fsync");
    assert_eq!((&fsync["status"], &fsync["found"]), (&"problem".into(), &"fsync is off".into()));
    assert!(fsync["why"].is_string() && fsync["remedy"].is_string(), "{fsync}");
    let listen = of(&report, "listen");
    assert_eq!((&listen["status"], &listen["remedy"]), (&"ok".into(), &Value::Null));
    assert_eq!(of(&report, "objects")["status"], "ok");
}

#[test]
fn people_are_told_why_and_what_to_do() {
    let schema = Schema::new("doctor_text");
    let answer = schema.run(&["doctor"]);
    assert_eq!(answer.code, 1);
    let lines: Vec<_> = answer.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("problem  fsync")).unwrap();
    assert!(lines[at + 1].trim_start().starts_with("why: ") && lines[at + 2].contains("do:  set"));
    assert!(lines.iter().any(|line| line.starts_with("ok       server")), "{lines:?}");
    assert!(lines.last().unwrap().contains(" problems"), "{lines:?}");
    let quiet = schema.run(&["doctor", "--quiet"]).stdout;
    assert!(!quiet.contains("ok       ") && quiet.contains("problem  fsync"), "{quiet}");
}

#[test]
fn a_schema_that_is_not_there_is_found_and_not_refused() {
    let schema = Schema::empty("doctor_missing");
    let answer = schema.run(&["doctor", "--json"]);
    assert_eq!(answer.code, 1);
    let report = report(&answer);
    assert!(of(&report, "schema")["remedy"].as_str().unwrap().contains("lavoro migrate"));
    assert_eq!(schema.run(&["queues", "list"]).code, 5, "the doctor only reads");
}

#[test]
fn a_server_without_problems_is_exit_code_0() {
    // A server that keeps its data is set up well by itself.
    let dir = tempfile::Builder::new().prefix("lavoro-cli-").tempdir().unwrap();
    let kept = format!("embedded:{}", dir.path().join(".lavoro").display());
    let answer = lavoro(&["doctor", "--json", "--database-url", &kept]);
    if let Ok(data) = std::fs::read_to_string(dir.path().join(".lavoro/location")) {
        let _ = std::fs::remove_dir_all(data);
    }
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_ne!(report(&answer)["status"], "problem");
}

#[test]
fn a_pooler_that_is_not_there_is_a_warning() {
    let schema = Schema::new("doctor_pooler");
    let answer = schema.run(&["doctor", "--json", "--pooler", "transaction"]);
    assert_eq!(of(&report(&answer), "pooler")["status"], "warning");
}

#[test]
fn a_database_that_cannot_be_reached_is_exit_code_4() {
    let gone = "postgres://nobody@127.0.0.1:1/none";
    let answer = lavoro(&["doctor", "--json", "--database-url", gone]);
    assert_eq!((answer.code, answer.error_code().as_str()), (4, "connection_failed"));
    assert_eq!(lavoro(&["doctor", "--loud", "--database-url", url()]).code, 2);
}
