//! `lavoro why`.

use crate::support::{Schema, lavoro};
use serde_json::json;

#[test]
fn the_reason_is_named_for_people_and_programs() {
    let schema = Schema::new("why");
    schema.json(&["enqueue", "t", "--queue", "mail"]);
    let why = schema.json(&["why", "1"]);
    let expected = json!({"id": "1", "state": "available", "reason": "no_worker",
                          "message": "No worker lives."});
    assert_eq!(why, expected);
    schema.json(&["queues", "pause", "mail"]);
    let why = schema.json(&["why", "1"]);
    assert_eq!((&why["reason"], &why["queue"]), (&json!("paused_queue"), &json!("mail")));
    assert!(why["paused_at"].is_string(), "{why}");
    let text = schema.run(&["why", "1"]).stdout;
    assert!(text.starts_with("Job 1 is available. Its queue \"mail\" is paused since "), "{text}");
    schema.json(&["jobs", "cancel", "1"]);
    assert_eq!(schema.json(&["why", "1"])["reason"], "ended");
}

#[test]
fn a_job_that_does_not_exist_is_exit_code_3() {
    let schema = Schema::new("why_none");
    let answer = schema.run(&["why", "99", "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (3, "job_not_found"));
    assert_eq!(lavoro(&["why"]).code, 2);
    assert!(lavoro(&["why", "--help"]).stdout.contains("Examples:"));
}
