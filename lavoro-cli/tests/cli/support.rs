//! Running the program.

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The URL of one throw-away server for all tests. It ends with this process.
pub(crate) fn url() -> &'static str {
    static SERVER: OnceLock<(Embedded, String)> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Embedded::start(EmbeddedOptions::memory()).unwrap();
        let url = server.url();
        (server, url)
    });
    &server.1
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// The code of the error that was printed as JSON.
    pub(crate) fn error_code(&self) -> String {
        let line = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}"));
        error["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// The program without what the environment would tell it.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lavoro"));
    for name in ["LAVORO_DATABASE_URL", "DATABASE_URL", "LAVORO_SCHEMA", "LAVORO_LOG"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn lavoro(args: &[&str]) -> Answer {
    finish(command(args).spawn().unwrap())
}

/// The commands that the help names.
pub(crate) fn commands() -> Vec<String> {
    let help = lavoro(&["--help"]).stdout;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let lines = rest.lines().take_while(|line| !line.is_empty());
    // A description that is too long goes on below, further to the right.
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<_> =
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(commands.len() > 9, "{help}");
    commands
}

/// Waits for a program and takes what it said.
pub(crate) fn finish(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits until `condition` holds.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A test's own schema on the common server.
#[derive(Debug)]
pub(crate) struct Schema(String);

impl Schema {
    /// A schema that has not been made yet.
    pub(crate) fn empty(name: &str) -> Self {
        Self(format!("test_{name}"))
    }

    /// A migrated one.
    pub(crate) fn new(name: &str) -> Self {
        let schema = Self::empty(name);
        schema.json(&["migrate"]);
        schema
    }

    /// The program with this schema.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        // Before the rest: what follows "--" belongs to someone else.
        command(&[&["--database-url", url(), "--schema", &self.0], args].concat())
    }

    /// Runs the program.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        finish(self.command(args).spawn().unwrap())
    }

    /// Runs the program with something on its stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Answer {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        finish(child)
    }

    /// Runs the program, which must succeed, and reads its answer.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let answer = self.run(&[args, &["--json"]].concat());
        assert_eq!(answer.code, 0, "{args:?}: {answer:?}");
        serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{args:?}: {answer:?}"))
    }

    /// Waits until a job is in this state, and answers the job.
    pub(crate) fn job_in(&self, id: &str, state: &str) -> Value {
        until(&format!("job {id} becomes {state}"), || {
            Some(self.json(&["jobs", "show", id])).filter(|job| job["state"] == state)
        })
    }
}
