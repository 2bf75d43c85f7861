//! The handle of the thread that keeps a server running.
//!
//! All that happens to a server happens on that one thread, because the kernel ends a child
//! together with the thread that made it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::EmbeddedOptions;
use super::lock::State;
use super::watch::Watch;
use crate::error::{Error, ErrorKind, Result};

/// A handle of the thread.
pub(super) struct Keeper {
    /// The process that may use the handle: a forked child has no such thread.
    process: u32,
    thread: Option<JoinHandle<Result<()>>>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    /// The server's process id if we own it, else 0.
    server_pid: Arc<AtomicU32>,
    /// The directory of the published state.
    root: PathBuf,
    facts: State,
}

impl Keeper {
    /// Starts the thread, and waits until it has started or joined a server.
    pub(super) fn start(options: EmbeddedOptions) -> Result<Self> {
        let server_pid = Arc::new(AtomicU32::default());
        let (stop, stopped) = channel();
        let (report, reported) = channel();
        let for_thread = Arc::clone(&server_pid);
        let thread = std::thread::Builder::new()
            .name("lavoro-embedded".to_owned())
            .spawn(move || {
                let mut watch = Watch::new(options, for_thread)?;
                let facts = watch.enter()?;
                // If nobody receives it, `stopped` tells so as well.
                let _ = report.send((watch.place.root.clone(), facts));
                watch.run(&stopped)
            })
            .map_err(|error| {
                Error::new(ErrorKind::EmbeddedFailed, "cannot start a thread").with_source(error)
            })?;
        match reported.recv() {
            Ok((root, facts)) => {
                let (process, thread, stop) = (std::process::id(), Some(thread), Some(stop));
                Ok(Self { process, thread, stop, server_pid, root, facts })
            }
            Err(_) => Err(join(thread).err().unwrap_or_else(|| defect("reported nothing"))),
        }
    }

    pub(super) fn facts(&self) -> &State {
        &self.facts
    }

    pub(super) fn is_owner(&self) -> bool {
        self.server_pid.load(Ordering::Acquire) != 0
    }

    pub(super) fn server_pid(&self) -> Option<u32> {
        match self.server_pid.load(Ordering::Acquire) {
            0 => State::read(&self.root).map(|state| state.server_pid),
            pid => Some(pid),
        }
    }

    /// Ends the thread, and with it the server if it is ours.
    pub(super) fn stop(&mut self) -> Result<()> {
        let (Some(thread), Some(stop)) = (self.thread.take(), self.stop.take()) else {
            return Ok(());
        };
        if std::process::id() != self.process {
            std::mem::forget((thread, stop));
            return Ok(());
        }
        drop(stop);
        join(thread)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the embedded PostgreSQL did not stop cleanly");
        }
    }
}

fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_| Err(defect("panicked")))
}

fn defect(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the thread of the embedded PostgreSQL {what}"))
}
