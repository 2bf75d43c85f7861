//! `lavoro dev`.

use crate::support::{command, finish};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command};

/// A `lavoro dev` that is killed if its test fails.
struct Dev {
    child: Option<Child>,
    /// Kept open: a program must be able to write.
    _stdout: BufReader<ChildStdout>,
    facts: Value,
}

impl Dev {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child =
            command(&[&["dev", "--json"], args].concat()).current_dir(dir).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut dev = Self { child: Some(child), _stdout: stdout, facts: Value::Null };
        dev.facts = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{:?}", dev.stop()));
        dev
    }

    fn stop(&mut self) -> crate::support::Answer {
        let child = self.child.take().unwrap();
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        finish(child)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
    }
}

/// A project's directory. What root's servers keep elsewhere is removed with it.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("lavoro-cli-").tempdir().unwrap())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.current_dir(self.0.path());
        command
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Ok(data) = std::fs::read_to_string(self.0.path().join(".lavoro/location")) {
            let _ = std::fs::remove_dir_all(data);
        }
    }
}

#[test]
fn others_in_the_directory_join_and_the_data_stays() {
    let project = Project::new();
    let mut dev = Dev::start(project.0.path(), &[]);
    assert_eq!(dev.facts["joined"], json!(false));
    assert!(dev.facts["url"].as_str().unwrap().starts_with("postgres://"));

    let within = project.0.path().join("a/b");
    std::fs::create_dir_all(&within).unwrap();
    let child = command(&["enqueue", "greet", "--json"]).current_dir(&within).spawn().unwrap();
    let answer = finish(child);
    assert_eq!(answer.code, 0, "{answer:?}");
    let warned = answer.stderr.contains("no database");
    assert!(!warned, "a server that runs on purpose is nothing to warn of: {answer:?}");
    let url = &dev.facts["url"].as_str().unwrap().to_owned();
    let answer =
        finish(project.command(&["jobs", "show", "1", "--database-url", url]).spawn().unwrap());
    assert_eq!(answer.code, 0, "the same database: {answer:?}");

    let stopped = dev.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let answer =
        finish(project.command(&["queues", "list", "--database-url", url]).spawn().unwrap());
    assert_eq!(answer.code, 4, "the server has stopped: {answer:?}");
    let answer = finish(project.command(&["jobs", "show", "1"]).spawn().unwrap());
    assert_eq!(answer.code, 0, "the data has stayed: {answer:?}");
    let warned: Vec<_> = answer.stderr.lines().collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("no database is named") && warned[0].ends_with(".lavoro"),
        "{warned:?}"
    );
}

#[test]
fn a_memory_server_is_found_by_its_url_only_and_leaves_nothing() {
    let project = Project::new();
    let mut dev = Dev::start(project.0.path(), &["--memory"]);
    let url = dev.facts["url"].as_str().unwrap().to_owned();
    let enqueue =
        || finish(project.command(&["enqueue", "t", "--database-url", &url]).spawn().unwrap());
    assert_eq!(enqueue().stdout, "1\n");
    assert_eq!(dev.stop().code, 0);
    assert_eq!(enqueue().code, 4);
    assert!(!project.0.path().join(".lavoro").exists());
}

#[test]
fn dev_is_told_only_of_servers_of_its_own() {
    let project = Project::new();
    let args = ["dev", "--database-url", "postgres://localhost/app"];
    assert_eq!(finish(project.command(&args).spawn().unwrap()).code, 2);
    let production = project.command(&["queues", "list"]).env("LAVORO_ENV", "production").spawn();
    let answer = finish(production.unwrap());
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stderr.contains("[embedded_in_production]"), "{}", answer.stderr);
}
