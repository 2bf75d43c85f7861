//! `lavoro top`, as far as it goes without a terminal.

use crate::support::{Schema, command, lavoro};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};

fn filled(name: &str) -> Schema {
    let schema = Schema::new(name);
    schema.json(&["enqueue", "a", "--queue", "mail"]);
    schema.json(&["enqueue", "b"]);
    schema.json(&["enqueue", "c", "--delay", "2h"]);
    schema.json(&["queues", "pause", "mail"]);
    schema
}

#[test]
fn one_frame_is_plain_text() {
    let answer = filled("top_text").run(&["top", "--once"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer:?}");
    let line = |start: &str| {
        let line = answer.stdout.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no {start}: {}", answer.stdout));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("QUEUE")[..3], ["QUEUE", "AVAILABLE", "RUNNING"]);
    assert_eq!(line("default")[..5], ["default", "1", "0", "0", "1"]);
    assert_eq!(line("mail").last().unwrap(), "paused");
    assert!(answer.stdout.contains("schema test_top_text"));
    assert!(!answer.stdout.contains('\u{1b}'));
}

#[test]
fn one_snapshot_is_json() {
    let snapshot = filled("top_json").json(&["top", "--once"]);
    let mail = &snapshot["queues"][1];
    assert_eq!((&mail["name"], &mail["available"]), (&json!("mail"), &json!(1)));
    assert_eq!((&mail["paused"], &mail["completed_per_second"]), (&json!(true), &json!(0.0)));
    assert_eq!((&snapshot["failures"], &snapshot["throughput"]), (&json!([]), &json!(0.0)));
    assert_eq!(snapshot["workers"], json!([]));
}

#[test]
fn json_comes_once_per_interval_until_it_is_stopped() {
    let schema = filled("top_stream");
    let args = ["top", "--json", "--interval", "100ms"];
    let mut child = schema.command(&args).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["throughput"], json!(0.0));
    let worker = ["worker", "--exec", "b=true", "--drain"];
    assert_eq!(schema.run(&worker).code, 0);
    let seen = (0..100).map(|_| next()).find(|sample| sample["throughput"].as_f64() > Some(0.0));
    assert!(seen.is_some(), "the completed job is seen");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_makes_no_sense_is_exit_code_2() {
    let answer = Schema::new("top_usage").run(&["top"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains("--once"), "{}", answer.stderr);
    assert_eq!(lavoro(&["top", "--once", "--interval", "1ms"]).code, 2);
    assert_eq!(Schema::empty("top_missing").run(&["top", "--once"]).code, 5);
}

#[test]
fn a_database_that_goes_away_is_told_and_tried_again() {
    let mut server = command(&["dev", "--memory", "--json"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let facts: Value = serde_json::from_str(&line).unwrap();
    let url = facts["url"].as_str().unwrap();
    let args = ["top", "--json", "--interval", "100ms", "--database-url", url];
    let mut child = command(&args).spawn().unwrap();
    let mut samples = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(samples.next().is_some());
    kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGTERM).unwrap();
    server.wait().unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    // Warnings of the driver may stand between.
    let told = errors.filter_map(|line| serde_json::from_str::<Value>(&line).ok()).take(2);
    assert_eq!(told.filter(|line| line["error"]["code"].is_string()).count(), 2);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}
