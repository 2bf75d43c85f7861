//! `lavoro worker`.

use crate::support::{Answer, Schema, finish, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::process::{Child, Stdio};

/// A worker that is killed if its test fails.
struct Running(Option<Child>);

impl Running {
    fn start(schema: &Schema, args: &[&str]) -> Self {
        let mut command = schema.command(&[&["worker"], args].concat());
        Self(Some(command.stdout(Stdio::null()).spawn().unwrap()))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.as_ref().unwrap().id().cast_signed()), signal).unwrap();
    }

    fn stop(mut self) -> Answer {
        self.signal(Signal::SIGTERM);
        finish(self.0.take().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The number that a command has written to a file.
fn pid_in(file: &std::path::Path) -> Pid {
    until("a command writes its pid", || {
        let text = std::fs::read_to_string(file).ok()?;
        text.strip_suffix('\n')?.parse().ok().map(Pid::from_raw)
    })
}

/// Whether a process of the group still runs. An orphan that has ended stays in the group, and
/// can even be signalled, until process 1 gets round to reaping it: that is not running.
fn is_group_alive(group: Pid) -> bool {
    let runs = |stat: &str| {
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[2] == group.to_string() && !matches!(fields[0], "Z" | "X")
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut stats = processes.filter_map(|p| std::fs::read_to_string(p.path().join("stat")).ok());
    stats.any(|stat| runs(&stat))
}

#[test]
fn a_command_gets_the_job_and_its_stdout_is_the_result() {
    let schema = Schema::new("exec");
    let env = r#"printf '{"id":"%s","task":"%s","queue":"%s","attempt":%s,"of":%s,"token":%s}' \
        $LAVORO_JOB_ID $LAVORO_TASK $LAVORO_QUEUE $LAVORO_ATTEMPT $LAVORO_MAX_ATTEMPTS \
        ${#LAVORO_JOB_TOKEN}"#;
    let execs = [
        "--exec".to_owned(),
        format!("env={env}"),
        "--exec".to_owned(),
        "echo=cat".to_owned(),
        "--exec".to_owned(),
        "text=echo ' not JSON '".to_owned(),
        "--exec".to_owned(),
        "none=true".to_owned(),
        "--queue".to_owned(),
        "default=2".to_owned(),
    ];
    let worker = Running::start(&schema, &execs.each_ref().map(String::as_str));
    let result = |args: &[&str]| {
        let answer = schema.run(&[&["enqueue"], args, &["--wait=60"]].concat());
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.stdout.split_once('\n').unwrap().1.trim().to_owned()
    };
    assert_eq!(result(&["echo", r#"{"a": [1, null]}"#]), r#"{"a": [1, null]}"#);
    assert_eq!(result(&["text"]), r#""not JSON""#);
    assert_eq!(result(&["none"]), "");
    let env: serde_json::Value = serde_json::from_str(&result(&["env"])).unwrap();
    let expected = json!({"id": "4", "task": "env", "queue": "default", "attempt": 1, "of": 20,
        "token": 36});
    assert_eq!(env, expected);

    let answer = worker.stop();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stderr.contains("completed job=1 task=\"echo\""), "{}", answer.stderr);
    assert!(!answer.stderr.contains("null"), "payloads are not logged: {}", answer.stderr);
}

#[test]
fn exit_codes_decide_and_stderr_is_kept() {
    let schema = Schema::new("codes");
    let _worker = Running::start(
        &schema,
        &[
            "--exec",
            "bad=head -c 30000 /dev/zero | tr '\\0' x >&2; echo 'the reason' >&2; exit 3",
            "--exec",
            "never=echo 'bad data' >&2; exit 65",
            "--exec",
            "later=exit 75",
            "--exec",
            "dies=kill -9 $$",
        ],
    );
    let failed = schema.run(&["enqueue", "bad", "--max-attempts", "1", "--wait=60", "--json"]);
    assert_eq!((failed.code, failed.error_code().as_str()), (7, "invalid_state"));
    for task in ["never", "later", "dies"] {
        schema.json(&["enqueue", task, "--max-attempts", "3"]);
    }
    let message =
        |job: &serde_json::Value| job["errors"][0]["message"].as_str().unwrap().to_owned();
    let bad = message(&schema.job_in("1", "discarded"));
    assert!(bad.starts_with("the command exited with code 3\nxxx"), "{bad}");
    assert!(bad.ends_with("xxx\nthe reason") || bad.ends_with("xxxthe reason"), "{bad}");
    assert!(bad.len() <= 16 << 10);
    let never = schema.job_in("2", "discarded");
    assert_eq!(message(&never), "the command exited with code 65\nbad data");
    let later = schema.job_in("3", "scheduled");
    assert_eq!(later["errors"], json!([]), "{later}");
    let dies = schema.job_in("4", "retrying");
    assert_eq!(message(&dies), "the command was killed by signal 9 SIGKILL");
}

#[test]
fn large_payloads_pass_through() {
    let schema = Schema::new("large");
    let _worker =
        Running::start(&schema, &["--exec", "echo=cat", "--exec", "deaf=exec <&-; echo 1"]);
    let payload = format!("\"{}\"", "é".repeat(450_000));
    for (task, expected) in [("echo", payload.as_str()), ("deaf", "1")] {
        let answer = schema.run_with(&["enqueue", task, "-", "--wait=60"], &payload);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let result = answer.stdout.split_once('\n').unwrap().1.trim();
        assert!(result == expected, "{} bytes came back", result.len());
    }
}

#[test]
fn what_a_command_leaves_behind_is_killed() {
    let schema = Schema::new("leftover");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let exec = format!("t=sleep 1000 & echo $$ >{}; echo 5", file.display());
    let _worker = Running::start(&schema, &["--exec", &exec]);
    let answer = schema.run(&["enqueue", "t", "--wait=60"]);
    assert_eq!(answer.stdout, "1\n5\n");
    until("the group ends", || (!is_group_alive(pid_in(&file))).then_some(()));
}

#[test]
fn a_cancelled_job_ends_its_command_even_if_that_is_stubborn() {
    let schema = Schema::new("cancel");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let stubborn = format!("t=trap '' TERM; echo $$ >{}; sleep 1000; sleep 1000", file.display());
    let _worker = Running::start(&schema, &["--exec", &stubborn]);
    schema.json(&["enqueue", "t"]);
    let group = pid_in(&file);
    assert_eq!(schema.json(&["jobs", "cancel", "1"])["state"], "running");
    schema.job_in("1", "cancelled");
    until("the group ends", || (!is_group_alive(group)).then_some(()));
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let schema = Schema::new("timeout");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let exec = format!("t=echo $$ >{}; sleep 1000", file.display());
    let _worker = Running::start(&schema, &["--exec", &exec]);
    schema.json(&["enqueue", "t", "--timeout", "300ms", "--max-attempts", "1"]);
    let group = pid_in(&file);
    let job = schema.job_in("1", "discarded");
    assert_eq!(job["errors"][0]["kind"], "timeout");
    until("the group ends", || (!is_group_alive(group)).then_some(()));
}

#[test]
fn a_stop_lets_commands_end_in_time() {
    let schema = Schema::new("graceful");
    let dir = tempfile::tempdir().unwrap();
    let (file, go) = (dir.path().join("pid"), dir.path().join("go"));
    let exec = format!(
        "t=echo $$ >{}; while [ ! -e {} ]; do sleep 0.05; done; echo 7",
        file.display(),
        go.display()
    );
    let mut worker = Running::start(&schema, &["--exec", &exec]);
    schema.json(&["enqueue", "t"]);
    pid_in(&file);
    worker.signal(Signal::SIGTERM);
    std::fs::write(&go, "").unwrap();
    let answer = finish(worker.0.take().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stderr.contains("stopped"), "{}", answer.stderr);
    let job = schema.json(&["jobs", "show", "1"]);
    assert_eq!((&job["state"], &job["result"]), (&json!("completed"), &json!(7)));
}

#[test]
fn a_stop_hands_back_what_does_not_end_and_a_second_one_is_at_once() {
    let schema = Schema::new("abandon");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let exec = format!("t=echo $$ >{}; sleep 1000", file.display());
    let worker = Running::start(&schema, &["--exec", &exec, "--stop-timeout", "100ms"]);
    schema.json(&["enqueue", "t"]);
    let group = pid_in(&file);
    let answer = worker.stop();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(!is_group_alive(group), "the command has outlived the worker");
    let job = schema.job_in("1", "available");
    assert_eq!(job["errors"], json!([]), "not counted: {job}");

    std::fs::remove_file(&file).unwrap();
    let mut worker = Running::start(&schema, &["--exec", &exec]);
    let group = pid_in(&file);
    worker.signal(Signal::SIGINT);
    // Signals of one kind merge while they are pending, so the second is of another.
    worker.signal(Signal::SIGTERM);
    let answer = finish(worker.0.take().unwrap());
    assert!(matches!(answer.code, 130 | 143), "{answer:?}");
    until("the group ends", || (!is_group_alive(group)).then_some(()));
}

/// A command that takes its time to die: another worker starts no second one before it is gone.
#[test]
fn a_stop_hands_back_only_when_the_command_is_gone() {
    let schema = Schema::new("grace");
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("pid"), dir.path().join("log"));
    let exec = format!(
        "t=echo start >>{log}; [ -e {pid} ] && exit 0; \
         trap 'sleep 1; echo gone >>{log}; exit 1' TERM; echo $$ >{pid}; sleep 1000",
        log = log.display(),
        pid = file.display()
    );
    let worker = Running::start(&schema, &["--exec", &exec, "--stop-timeout", "100ms"]);
    schema.json(&["enqueue", "t"]);
    pid_in(&file);
    let _other = Running::start(&schema, &["--exec", &exec]);
    let answer = worker.stop();
    assert_eq!(answer.code, 0, "{answer:?}");
    let job = schema.job_in("1", "completed");
    assert_eq!(job["errors"], json!([]), "not counted: {job}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "start\ngone\nstart\n");
}

/// A command that uses the time it has after SIGTERM to end well.
#[test]
fn what_a_command_completes_after_the_limit_of_a_stop_counts() {
    let schema = Schema::new("grace_counts");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let exec = format!("t=trap 'echo 7; exit 0' TERM; echo $$ >{}; sleep 1000", file.display());
    let worker = Running::start(&schema, &["--exec", &exec, "--stop-timeout", "100ms"]);
    schema.json(&["enqueue", "t"]);
    pid_in(&file);
    let answer = worker.stop();
    assert_eq!(answer.code, 0, "{answer:?}");
    let job = schema.job_in("1", "completed");
    assert_eq!(job["result"], json!(7), "{job}");
}

#[test]
fn a_drain_ends_by_itself() {
    let schema = Schema::new("drain");
    for _ in 0..25 {
        schema.json(&["enqueue", "t"]);
    }
    schema.json(&["enqueue", "other"]);
    schema.json(&["enqueue", "t", "--delay", "1h"]);
    let answer = schema.run(&["worker", "--exec", "t=true", "--drain", "--name", "drainer"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let done = schema.json(&["jobs", "list", "--state", "completed"]);
    assert_eq!(done.as_array().unwrap().len(), 25);
    assert_eq!(done[0]["worker"], "drainer");
    assert_eq!(schema.json(&["jobs", "show", "26"])["state"], "available");
}

#[test]
fn a_worker_refuses_what_is_wrong() {
    let schema = Schema::new("worker_refuses");
    for (args, code) in [
        (&["--exec", "t=true", "--exec", "t=false"][..], "duplicate_handler"),
        (&["--exec", "t=true", "--queue", "q=0"], "invalid_option"),
        (&["--exec", "t=true", "--concurrency", "0"], "invalid_option"),
    ] {
        let answer = schema.run(&[&["worker", "--json"], args].concat());
        assert_eq!((answer.code, answer.error_code().as_str()), (2, code), "{args:?}");
    }
    let missing = Schema::empty("never_made").run(&["worker", "--exec", "t=true"]);
    assert_eq!(missing.code, 5, "{missing:?}");
}
