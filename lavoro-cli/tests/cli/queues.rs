//! `lavoro queues`.

use crate::support::Schema;
use serde_json::{Value, json};

#[test]
fn queues_are_listed_paused_and_resumed() {
    let schema = Schema::new("queues");
    schema.json(&["enqueue", "t", "--queue", "mail"]);
    let queue = |list: Value| list.as_array().unwrap()[0].clone();
    schema.json(&["queues", "pause", "mail"]);
    let mail = queue(schema.json(&["queues", "list"]));
    assert_eq!((&mail["name"], &mail["available"]), (&json!("mail"), &json!(1)));
    assert!(mail["paused_at"].is_string(), "{mail}");
    schema.json(&["queues", "resume", "mail"]);
    assert!(queue(schema.json(&["queues", "list"]))["paused_at"].is_null());
    assert!(schema.run(&["queues", "list"]).stdout.starts_with("QUEUE  AVAILABLE"));
    assert_eq!(schema.run(&["queues", "pause", ""]).code, 2);
}

#[test]
fn queues_without_a_worker_are_marked() {
    let schema = Schema::new("unhandled");
    let answer = schema.run(&["enqueue", "t", "--queue", "mail"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "1\n"));
    let warning = "warning: no live worker handles task t in queue mail: the job waits\n";
    assert!(answer.stderr.ends_with(warning), "{answer:?}");
    let list = schema.json(&["queues", "list"]);
    assert_eq!((&list[0]["name"], &list[0]["unhandled"]), (&json!("mail"), &json!(["t"])));
    let table = schema.run(&["queues", "list"]).stdout;
    assert!(table.contains("NO WORKER FOR") && table.lines().nth(1).unwrap().ends_with('t'));
}

#[test]
fn a_queue_is_renamed() {
    let schema = Schema::new("rename");
    for key in ["1", "2"] {
        schema.json(&["enqueue", "t", "--queue", "mail", "--unique-key", key]);
    }
    schema.json(&["queues", "pause", "mail"]);
    let answer = schema.json(&["queues", "rename", "mail", "post"]);
    let expected = json!({"from": "mail", "to": "post", "waiting": 2, "running": 0, "kept": [],
                          "left": 0});
    assert_eq!(answer, expected);
    let list = schema.json(&["queues", "list"]);
    assert_eq!((&list[0]["name"], &list[0]["available"]), (&json!("post"), &json!(2)));
    assert!(list[0]["paused_at"].is_string());
    let text = schema.run(&["queues", "rename", "post", "mail"]).stdout;
    assert_eq!(text, "Renamed post to mail: 2 waiting and 0 running jobs.\n");
    assert_eq!(schema.run(&["queues", "rename", "mail", "mail"]).code, 2);
    assert_eq!(schema.run(&["queues", "rename", "mail"]).code, 2);
}

#[test]
fn a_rename_that_leaves_jobs_is_exit_code_7() {
    let schema = Schema::new("rename_kept");
    for queue in ["post", "mail"] {
        schema.json(&["enqueue", "t", "--queue", queue, "--unique-key", "k"]);
    }
    let answer = schema.run(&["queues", "rename", "mail", "post", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (7, "invalid_state"));
    let printed: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(printed["kept"], json!([{"id": "2", "holder": "1"}]));
    let text = schema.run(&["queues", "rename", "mail", "post"]).stdout;
    assert!(text.contains("Job 2 stays: job 1 holds its unique key."), "{text}");
}

#[test]
fn a_queue_is_cleared_only_on_demand() {
    let schema = Schema::new("clear");
    schema.json(&["enqueue", "t", "--queue", "mail"]);
    schema.json(&["enqueue", "t", "--queue", "mail", "--delay", "1h"]);
    let preview = json!({"queue": "mail", "deleted": 0, "waiting": 2});
    assert_eq!(schema.json(&["queues", "clear", "mail", "--dry-run"]), preview);
    let answer = schema.run(&["queues", "clear", "mail", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (2, "usage"));
    assert_eq!(serde_json::from_str::<Value>(&answer.stdout).unwrap(), preview);
    assert_eq!(schema.json(&["jobs", "list"]).as_array().unwrap().len(), 2, "nothing happened");
    let cleared = schema.json(&["queues", "clear", "mail", "--yes"]);
    assert_eq!(cleared, json!({"queue": "mail", "deleted": 2, "left": 0}));
    assert_eq!(schema.json(&["jobs", "list"]), json!([]));
    assert_eq!(
        schema.run(&["queues", "clear", "mail", "--yes"]).stdout,
        "Deleted 0 jobs of mail.\n"
    );
    assert_eq!(schema.run(&["queues", "clear", "", "--yes"]).code, 2);
    assert_eq!(schema.run(&["queues", "clear", ""]).code, 2);
}
