//! A worker in a process of its own, which can be killed and stopped.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What the process does. Its handlers write one line per event to `log`:
/// `start JOB ATTEMPT PID`, `done JOB ATTEMPT PID` before its outcome is sent, `end JOB ATTEMPT PID
/// VERDICT`.
///
/// Tasks: `sleep` (payload `{"ms": n}`), `poison` (payload `{"poison": bool}`: aborts the
/// process or succeeds at once), `noop`, `checkpoint` (saves one, sleeps like `sleep`, saves
/// another; logs `saved` or `refused` with the text or the error's code).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The database.
    pub url: String,
    /// Where events are logged.
    pub log: PathBuf,
    /// The concurrency of queue `default`.
    pub concurrency: u32,
    /// Whether leases run ten times as fast.
    pub quick: bool,
    /// Its name in listings.
    pub name: String,
}

/// What the program `lavoro-test-scheduler` does: it fires schedules, and completes their jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedulers {
    /// The database.
    pub url: String,
    /// How many schedulers it is: one worker, the others clients that do maintenance.
    pub schedulers: usize,
}

/// The running process. Dropping it kills it.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
}

impl WorkerProcess {
    /// Starts the program (`env!("CARGO_BIN_EXE_lavoro-test-worker")`).
    #[must_use]
    pub fn start(program: &str, spec: &Spec) -> Self {
        Self::start_with(program, spec)
    }

    /// Starts another program that takes what it does as its argument.
    #[must_use]
    pub fn start_with(program: &str, spec: &impl Serialize) -> Self {
        let child = Command::new(program)
            .arg(serde_json::to_string(spec).unwrap())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Spec {
    /// The events that were logged so far, as words.
    #[must_use]
    pub fn events(log: &Path) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }
}
