//! `lavoro jobs`: looking for jobs, and changing one or many.

use crate::support::Schema;
use serde_json::{Value, json};

fn ids(schema: &Schema, args: &[&str]) -> Vec<Value> {
    let jobs = schema.json(&[&["jobs", "list"], args].concat());
    jobs.as_array().unwrap().iter().map(|job| job["id"].clone()).collect()
}

/// One job that was discarded with an error, by a worker: its number.
fn discarded(schema: &Schema) -> String {
    let args = ["enqueue", "broken", "--max-attempts", "1", "--queue", "b"];
    let id = schema.json(&args)["id"].as_str().unwrap().to_owned();
    let fails = "broken=echo 'Connection Refused' >&2; exit 1";
    let worker = schema.run(&["worker", "--exec", fails, "--queue", "b", "--drain"]);
    assert_eq!(worker.code, 0, "{worker:?}");
    schema.job_in(&id, "discarded");
    id
}

#[test]
fn list_takes_every_filter() {
    let schema = Schema::new("jobs_filters");
    schema.json(&["enqueue", "a", "--tag", "x"]);
    schema.json(&["enqueue", "a", "--delay", "1h"]);
    let bad = discarded(&schema);
    assert_eq!(ids(&schema, &["--tag", "x"]), ["1"]);
    assert_eq!(ids(&schema, &["--state", "scheduled"]), ["2"]);
    assert_eq!(ids(&schema, &["--error", "connection refused"]), [&*bad]);
    assert!(ids(&schema, &["--error", "connection.refused"]).is_empty());
    assert_eq!(ids(&schema, &["--since", "1h"]).len(), 3);
    assert!(ids(&schema, &["--until", "1h"]).is_empty());
    assert!(ids(&schema, &["--since", "2999-01-01T00:00:00Z"]).is_empty());
    assert_eq!(ids(&schema, &["--until", "2999-01-01T00:00:00Z", "--limit", "2"]), [&*bad, "2"]);
    assert_eq!(ids(&schema, &["--before", "2"]), ["1"]);
    for (args, code) in [
        (&["--since", "yesterday"][..], "usage"),
        (&["--limit", "0"], "usage"),
        (&["--tag", ""], "invalid_option"),
        (&["--error", ""], "invalid_option"),
        (&["--task", ""], "invalid_task"),
        (&["--until", "2999999d"], "invalid_time"),
    ] {
        let answer = schema.run(&[&["jobs", "list", "--json"], args].concat());
        assert_eq!((answer.code, &*answer.error_code()), (2, code), "{args:?}");
    }
}

#[test]
fn show_tells_all() {
    let schema = Schema::new("jobs_show");
    let args =
        ["--timeout", "90s", "--expires-at", "2999-01-31T09:00:00Z", "--on-discarded", "sorry"];
    let id = schema.json(&[&["enqueue", "a"], &args[..]].concat())["id"].clone();
    let shown = schema.run(&["jobs", "show", id.as_str().unwrap()]).stdout;
    for line in
        ["time limit: 90s", "expires:    2999-01-31T09:00:00Z", "follow-up:  sorry, if discarded"]
    {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    let job = schema.json(&["jobs", "show", id.as_str().unwrap()]);
    assert_eq!((&job["timeout_ms"], &job["on_discarded"]), (&json!(90_000), &json!("sorry")));
    let bad = discarded(&schema);
    let shown = schema.run(&["jobs", "show", &bad]).stdout;
    assert!(shown.contains("error:      attempt 1, failed, "), "{shown}");
    assert!(shown.contains("\n    "), "{shown}");
    assert!(shown.contains("Connection Refused"), "{shown}");
}

#[test]
fn enqueue_refuses_wrong_expiry_and_follow_up() {
    let schema = Schema::new("jobs_expiry");
    let soon = schema.json(&["enqueue", "a", "--expires-in", "2h"])["id"].clone();
    let job = schema.json(&["jobs", "show", soon.as_str().unwrap()]);
    assert!(job["expires_at"].is_string(), "{job}");
    for (args, code) in [
        (&["--expires-in", "0"][..], "invalid_time"),
        (&["--expires-in", "-1s"], "usage"),
        (&["--expires-in", "1s", "--expires-at", "2999-01-01T00:00:00Z"], "usage"),
        (&["--expires-at", "soon"], "usage"),
        (&["--on-discarded", ""], "invalid_task"),
    ] {
        let answer = schema.run(&[&["enqueue", "a", "--json"], args].concat());
        assert_eq!((answer.code, &*answer.error_code()), (2, code), "{args:?}");
    }
}

#[test]
fn changes_take_several_numbers() {
    let schema = Schema::new("jobs_numbers");
    for _ in 0..4 {
        schema.json(&["enqueue", "a"]);
    }
    let answers = schema.run(&["jobs", "cancel", "1", "2", "--json"]);
    assert_eq!(answers.code, 0);
    assert_eq!(
        answers.stdout,
        "{\"id\":\"1\",\"state\":\"cancelled\"}\n{\"id\":\"2\",\"state\":\"cancelled\"}\n"
    );
    assert_eq!(schema.json(&["jobs", "retry", "1"]), json!({"id": "1", "retried": true}));
    assert_eq!(schema.json(&["jobs", "delete", "2"]), json!({"id": "2", "deleted": true}));
    let edit = ["jobs", "edit", "3", "--payload", "[7]", "--priority", "-2", "--to-queue", "q"];
    assert_eq!(schema.json(&edit), json!({"id": "3", "edited": true}));
    let job = schema.json(&["jobs", "show", "3"]);
    assert_eq!((&job["payload"], &job["priority"]), (&json!([7]), &json!(-2)));
    assert_eq!((&job["queue"], &job["state"]), (&json!("q"), &json!("available")));
    schema.json(&["jobs", "edit", "3", "--delay", "1h"]);
    assert_eq!(schema.json(&["jobs", "show", "3"])["state"], "scheduled");
    schema.json(&["jobs", "edit", "3", "--at", "2001-01-01T00:00:00Z"]);
    assert_eq!(schema.json(&["jobs", "show", "3"])["state"], "available");
    schema.json(&["jobs", "cancel", "4"]);
    for (args, code, kind) in [
        (&["edit", "4", "--priority", "1"][..], 7, "invalid_state"),
        (&["edit", "3"], 2, "invalid_option"),
        (&["edit", "3", "--payload", "{"], 2, "invalid_payload"),
        (&["edit", "3", "--delay", "-1s"], 2, "invalid_time"),
        (&["edit", "3", "--to-queue", ""], 2, "invalid_queue"),
        (&["edit", "99", "--priority", "1"], 3, "job_not_found"),
        (&["delete", "3", "99"], 3, "job_not_found"),
        (&["delete"], 2, "usage"),
        (&["cancel", "4", "--task", "a"], 2, "usage"),
        (&["cancel", "4", "--dry-run"], 2, "usage"),
    ] {
        let answer = schema.run(&[&["jobs"], args, &["--json"]].concat());
        assert_eq!((answer.code, &*answer.error_code()), (code, kind), "{args:?}");
    }
    let done = schema.run(&["jobs", "show", "3"]);
    assert_eq!(done.code, 3, "the first of two numbers was deleted before the second failed");
}

#[test]
fn a_filter_needs_yes() {
    let schema = Schema::new("jobs_bulk");
    for n in 0..5 {
        schema.json(&["enqueue", if n == 4 { "b" } else { "a" }]);
    }
    let counted = schema.run(&["jobs", "cancel", "--task", "a", "--json"]);
    assert_eq!((counted.code, &*counted.error_code()), (2, "usage"));
    assert_eq!(counted.stdout, "{\"changed\":0,\"matched\":4}\n");
    assert!(counted.stderr.contains("add --yes"), "{}", counted.stderr);
    let dry = schema.run(&["jobs", "cancel", "--task", "a", "--dry-run"]);
    assert_eq!((dry.code, &*dry.stdout), (0, "4 jobs match.\n"));
    assert_eq!(ids(&schema, &["--state", "available"]).len(), 5, "nothing was done");

    let outcome = |n: u64| json!({"matched": n, "changed": n, "skipped": 0});
    let run = |args: &[&str]| schema.json(&[&["jobs"], args, &["--yes"]].concat());
    assert_eq!(run(&["edit", "--task", "a", "--to-queue", "q"]), outcome(4));
    assert_eq!(run(&["cancel", "--queue", "q"]), outcome(4));
    assert_eq!(ids(&schema, &["--state", "cancelled"]), ["4", "3", "2", "1"]);
    assert_eq!(run(&["retry", "--state", "cancelled", "--task", "a"]), outcome(4));
    let text = schema.run(&["jobs", "delete", "--since", "1h", "--yes"]);
    assert_eq!((text.code, &*text.stdout), (0, "5 jobs deleted.\n"));
    assert!(ids(&schema, &[]).is_empty());

    for args in [
        &["retry", "--task", "a"][..],
        &["retry", "--state", "running", "--yes"],
        &["retry", "--state", "running", "--dry-run"],
        &["delete", "--state", "running"],
        &["edit", "--state", "completed", "--priority", "1", "--yes"],
        &["edit", "--task", "a", "--yes"],
    ] {
        let answer = schema.run(&[&["jobs"], args].concat());
        assert_eq!(answer.code, 2, "{args:?}: {answer:?}");
    }
}
