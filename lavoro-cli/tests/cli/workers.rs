//! `lavoro workers`.

use crate::support::{Schema, lavoro, until};
use serde_json::{Value, json};

#[test]
fn workers_are_listed_while_they_live_and_after() {
    let schema = Schema::new("workers");
    assert_eq!(schema.json(&["workers", "list"]), json!([]));
    let args = ["worker", "--exec", "t=exec cat", "--queue", "mail=3", "--name", "w"];
    let mut child = schema.command(&args).spawn().unwrap();
    let worker: Value = until("the worker", || {
        schema.json(&["workers", "list"]).as_array().unwrap().first().cloned()
    });
    let handled = schema.json(&["enqueue", "t", "--queue", "mail"]);
    let table = schema.run(&["workers", "list"]).stdout;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((&worker["name"], &worker["state"]), (&json!("w"), &json!("alive")));
    assert_eq!(worker["slots"], 3);
    assert!(worker["id"].is_string(), "{worker}");
    assert_eq!((&worker["tasks"], &worker["running"]), (&json!(["t"]), &json!(0)));
    assert_eq!(worker["queues"]["mail"]["concurrency"], 3);
    assert_eq!(handled["handled"], true);
    assert!(table.contains("NAME") && table.contains("alive"), "{table}");
    assert!(!schema.json(&["workers", "list", "--all"]).as_array().unwrap().is_empty());
}

#[test]
fn a_wrong_command_line_is_refused() {
    assert_eq!(lavoro(&["workers"]).code, 2);
    assert_eq!(lavoro(&["workers", "list", "--every"]).code, 2);
    assert!(lavoro(&["workers", "list", "--help"]).stdout.contains("Examples:"));
}
