//! `lavoro queues stats`, `lavoro metrics`, `lavoro workers check` and `lavoro worker --listen`.

use crate::support::{Schema, until};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// A worker that is killed when its test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn queues_stats_shows_tasks_and_what_nobody_handles() {
    let schema = Schema::new("stats");
    schema.json(&["enqueue", "orphan", "--queue", "mail"]);
    schema.json(&["enqueue", "later", "--delay", "1h"]);
    let stats = schema.json(&["queues", "stats"]);
    let queues = stats.as_array().unwrap();
    assert_eq!(queues.len(), 2);
    assert_eq!((&queues[1]["queue"], &queues[1]["available"]), (&json!("mail"), &json!(1)));
    assert_eq!(queues[1]["unhandled"], json!(["orphan"]));
    assert_eq!(queues[1]["tasks"][0]["task"], "orphan");
    assert!(queues[1]["oldest_wait_ms"].as_f64().unwrap() >= 0.0, "{stats}");
    assert_eq!(queues[1]["wait"], json!(null));
    let one = schema.json(&["queues", "stats", "default", "--window", "1h"]);
    assert_eq!((one.as_array().unwrap().len(), &one[0]["scheduled"]), (1, &json!(1)));
    let table = schema.run(&["queues", "stats"]).stdout;
    assert!(table.starts_with("QUEUE / TASK  AVAILABLE"), "{table}");
    assert!(table.contains("\n  orphan !"), "{table}");
    let refused = schema.run(&["queues", "stats", "--window", "25h", "--json"]);
    assert_eq!((refused.code, refused.error_code().as_str()), (2, "invalid_option"));
}

#[test]
fn metrics_prints_what_prometheus_reads() {
    let schema = Schema::new("metrics");
    schema.json(&["enqueue", "orphan"]);
    schema.json(&["queues", "pause", "default"]);
    let answer = schema.run(&["metrics"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    for line in [
        "lavoro_workers 0.0",
        r#"lavoro_jobs{queue="default",task="orphan",state="available"} 1.0"#,
        r#"lavoro_unhandled_jobs{queue="default",task="orphan"} 1.0"#,
        r#"lavoro_queue_paused{queue="default"} 1.0"#,
    ] {
        assert!(answer.stdout.lines().any(|said| said == line), "{line}: {}", answer.stdout);
    }
    assert!(answer.stdout.ends_with("# EOF\n"));
    let json = schema.json(&["metrics", "--window", "1m"]);
    assert!(json["text"].as_str().unwrap().ends_with("# EOF\n"));
    assert_eq!(schema.run(&["metrics", "--window", "0s"]).code, 2);
}

#[test]
fn a_worker_is_found_by_supervisors_and_answers_for_itself() {
    let schema = Schema::new("check");
    let none = schema.run(&["workers", "check", "--json"]);
    assert_eq!((none.code, none.error_code().as_str()), (1, "no_worker"));
    assert_eq!(none.stdout, "{\"alive\":false,\"silent\":[],\"workers\":[]}\n");

    let args = ["worker", "--exec", "t=true", "--name", "mailer", "--listen", "127.0.0.1:0"];
    let mut worker = schema.command(&args);
    let worker = worker.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut worker = Running(worker);
    let mut lines = BufReader::new(worker.0.stderr.take().unwrap()).lines();
    // The pipe stays open: the worker goes on writing to it.
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.split_once("listening address=").map(|(_, address)| address.trim().to_owned())
    });
    let address = address.unwrap();
    let health = get(&address, "/health");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"healthy\":true"), "{health}");
    assert!(get(&address, "/metrics").contains("\nlavoro_worker_slots 10.0\n"));

    assert_eq!(schema.run(&["workers", "check"]).code, 0);
    let found = schema.json(&["workers", "check", "mailer"]);
    assert_eq!((&found["alive"], &found["workers"][0]["name"]), (&json!(true), &json!("mailer")));
    assert!(found["workers"][0]["id"].is_string(), "{found}");
    let text = schema.run(&["workers", "check", "mailer"]).stdout;
    assert!(text.starts_with("mailer (1) alive, heartbeat "), "{text}");
    let other = schema.run(&["workers", "check", "other"]);
    assert_eq!(other.code, 1);
    assert_eq!(other.stderr, "error [no_worker]: no worker named \"other\" is alive\n");

    // Once it has ended it is gone, and nothing is said of it.
    let pid = nix::unistd::Pid::from_raw(worker.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    until("the worker to end", || worker.0.try_wait().unwrap());
    assert_eq!(schema.run(&["workers", "check", "mailer"]).code, 1);
}

#[test]
fn an_address_that_cannot_be_listened_on_is_refused() {
    let schema = Schema::new("listen");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let answer = schema.run(&["worker", "--exec", "t=true", "--listen", &address, "--json"]);
    assert_eq!((answer.code, answer.error_code().as_str()), (2, "invalid_option"));
    assert_eq!(schema.run(&["worker", "--exec", "t=true", "--listen", "localhost"]).code, 2);
}
