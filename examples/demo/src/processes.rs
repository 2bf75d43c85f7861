//! The processes of the demo: this binary again, under other names.

use crate::Result;
use crate::output::directory;
use crate::role::STOP;
use crate::tasks::mail;
use lavoro_core::JobId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// Each worker's role and name.
const WORKERS: [(&str, &str); 6] = [
    ("images", "images-1"),
    ("images", "images-2"),
    ("documents", "documents-1"),
    ("backups", "backups-1"),
    ("mail", "mail-1"),
    ("pipeline", "pipeline-1"),
];

/// What a child must know.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The database.
    pub(crate) url: String,
    /// The mail server.
    pub(crate) smtp: SocketAddr,
}

impl Places {
    /// This binary with these arguments. It ends when its standard input closes, which happens
    /// however this process ends; what it has to say goes to a log.
    fn command(&self, log: &str, arguments: &[&str]) -> Result<Command> {
        let log = File::create(directory("logs").join(format!("{log}.log")))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(arguments)
            .env("LAVORO_DATABASE_URL", &self.url)
            .env(mail::SERVER, self.smtp.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs the producer to its end. Answers the jobs that were acknowledged to it.
    pub(crate) async fn produce(&self) -> Result<Vec<JobId>> {
        let mut command = self.command("producer", &["producer"])?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let _pipe = child.stdin.take();
        let done = child.wait_with_output().await?;
        if !done.status.success() {
            return Err(format!("the producer failed ({}): see its log", done.status).into());
        }
        let printed = String::from_utf8(done.stdout)?;
        Ok(printed.lines().map(str::parse).collect::<Result<_, _>>()?)
    }
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct Process {
    /// The worker's name.
    pub(crate) name: &'static str,
    /// The process.
    pub(crate) pid: u32,
    child: Child,
    /// Held apart from the child, which would close it before it is waited for.
    _pipe: Option<ChildStdin>,
}

/// The workers that should be running.
#[derive(Debug)]
pub(crate) struct Fleet(Vec<Process>);

impl Fleet {
    /// Starts all workers.
    pub(crate) fn start(places: &Places) -> Result<Self> {
        let started = WORKERS.iter().map(|(role, name)| {
            let mut child = places.command(name, &["worker", role, name])?.spawn()?;
            let (pid, pipe) = (child.id().unwrap_or_default(), child.stdin.take());
            Ok(Process { name, pid, child, _pipe: pipe })
        });
        Ok(Self(started.collect::<Result<_>>()?))
    }

    /// The workers.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.0
    }

    /// Fails if a worker has ended that nobody asked to.
    pub(crate) fn check(&mut self) -> Result<()> {
        for process in &mut self.0 {
            if let Some(status) = process.child.try_wait()? {
                let name = process.name;
                return Err(format!("worker {name} has ended ({status}): see its log").into());
            }
        }
        Ok(())
    }

    /// Sends a signal to a worker.
    pub(crate) fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let process = self.0.iter().find(|process| process.name == name);
        let pid = process.ok_or("there is no such worker")?.pid;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// Kills a worker with SIGKILL and takes it off the list. Answers its process number.
    pub(crate) async fn kill(&mut self, name: &str) -> Result<u32> {
        let place = self.0.iter().position(|process| process.name == name);
        let mut process = self.0.remove(place.ok_or("there is no such worker")?);
        process.child.kill().await?;
        Ok(process.pid)
    }

    /// Asks all workers to stop, all at once. Answers how many of how many did so cleanly.
    pub(crate) async fn stop(mut self) -> Result<(usize, usize)> {
        for process in &self.0 {
            let _ = kill(Pid::from_raw(i32::try_from(process.pid)?), Signal::SIGTERM);
        }
        let mut clean = 0;
        for process in &mut self.0 {
            let patience = STOP + Duration::from_secs(10);
            let ended = tokio::time::timeout(patience, process.child.wait()).await;
            if matches!(ended, Ok(Ok(status)) if status.success()) {
                clean += 1;
            }
        }
        Ok((clean, self.0.len()))
    }
}
