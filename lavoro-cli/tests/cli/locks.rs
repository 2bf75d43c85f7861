//! `lavoro locks`.

use crate::support::{Answer, Schema, finish, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::process::Child;

/// A program that holds the lock `l` until something ends it.
fn holder(schema: &Schema) -> Child {
    let args = ["locks", "run", "l", "--owner", "me", "--json", "--", "sleep", "600"];
    let child = schema.command(&args).spawn().unwrap();
    until("the lock is held", || {
        let locks = schema.json(&["locks", "list"]);
        (locks[0]["owner"] == "me").then_some(())
    });
    child
}

fn ended(child: Child) -> Answer {
    finish(child)
}

#[test]
fn a_command_runs_under_a_lock() {
    let schema = Schema::new("locks_run");
    let say = "echo $LAVORO_LOCK $LAVORO_LOCK_FENCE";
    let first = schema.run(&["locks", "run", "l", "--", "sh", "-c", say]);
    assert_eq!((first.code, first.stdout.as_str()), (0, "l 1\n"));
    let second = schema.run(&["locks", "run", "l", "--", "sh", "-c", say]);
    assert_eq!((second.code, second.stdout.as_str()), (0, "l 2\n"), "it was released");
    assert_eq!(schema.json(&["locks", "list"]), json!([]));
    let failed = schema.run(&["locks", "run", "l", "--", "sh", "-c", "exit 65"]);
    assert_eq!((failed.code, failed.stderr.as_str()), (65, ""));
    let killed = schema.run(&["locks", "run", "l", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, 128 + 9);
    let missing = schema.run(&["locks", "run", "l", "--json", "--", "/no/such/program"]);
    assert_eq!((missing.code, missing.error_code().as_str()), (1, "io"));
    assert_eq!(schema.run(&["locks", "run", "l"]).code, 2, "a command is needed");
    let long = schema.run(&["locks", "run", "l", "--lifetime", "2d", "--json", "--", "true"]);
    assert_eq!((long.code, long.error_code().as_str()), (2, "invalid_option"));
}

#[test]
fn a_lock_that_is_held_is_listed_and_waited_for() {
    let schema = Schema::new("locks_held");
    let holder = holder(&schema);
    let list = schema.json(&["locks", "list"]);
    let lock = &list[0];
    assert_eq!(
        (&lock["name"], &lock["fence"], &lock["waiting"]),
        (&json!("l"), &json!("1"), &json!(0))
    );
    let table = schema.run(&["locks", "list"]).stdout;
    assert!(table.starts_with("LOCK  OWNER  FENCE  WAITING  SINCE"), "{table}");
    let waited = schema.run(&["locks", "run", "l", "--wait", "200ms", "--json", "--", "true"]);
    assert_eq!((waited.code, waited.error_code().as_str()), (6, "timeout"));
    // SIGTERM ends the command, and the lock with it.
    kill(Pid::from_raw(holder.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(ended(holder).code, 128 + 15);
    assert_eq!(schema.json(&["locks", "list"]), json!([]));
}

#[test]
fn an_operator_releases_a_lock_and_its_command_is_ended() {
    let schema = Schema::new("locks_release");
    let holder = holder(&schema);
    let shown = schema.run(&["locks", "release", "l", "--json"]);
    assert_eq!((shown.code, shown.error_code().as_str()), (2, "usage"));
    let preview: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(preview, json!({"name": "l", "released": false, "owner": "me"}));
    assert_eq!(schema.run(&["locks", "release", "l"]).stdout, "me holds l.\n");
    let released = schema.run(&["locks", "release", "l", "--yes"]);
    assert_eq!((released.code, released.stdout.as_str()), (0, "Released l, which me held.\n"));
    let answer = ended(holder);
    assert_eq!((answer.code, answer.error_code().as_str()), (7, "lock_lost"));
    let again = schema.json(&["locks", "release", "l", "--yes"]);
    assert_eq!(again, json!({"name": "l", "released": false, "owner": null}));
    assert_eq!(schema.run(&["locks", "release", "", "--yes"]).code, 2);
}
