//! What the thread that keeps a server running does: it starts or joins one, restarts it when it
//! crashes, takes over when its owner ends, and stops it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::cluster::{Cluster, DATABASE, PORT, USER};
use super::find::Search;
use super::lock::{LOCK, Lock, State};
use super::place::Place;
use super::spawn::Server;
use super::{EmbeddedKind, EmbeddedOptions, failed, memory, orphan};
use crate::error::{Error, ErrorKind, Result};

/// How often the thread looks at the server, or at the lock of another owner.
const TICK: Duration = Duration::from_millis(200);
/// How often a start looks whether another process has finished its own.
const JOIN_TICK: Duration = Duration::from_millis(20);
/// The longest pause between two attempts to restart a server.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The state of the thread.
pub(super) struct Watch {
    options: EmbeddedOptions,
    pub(super) place: Place,
    /// The server's process id if we own it, else 0.
    server_pid: Arc<AtomicU32>,
    /// Held while we own the server.
    lock: Option<Lock>,
    server: Option<Server>,
    /// The address, once there is one; it must not change.
    facts: Option<State>,
    /// When to try a restart again, and how long to wait after that.
    retry: (Instant, Duration),
}

impl Watch {
    pub(super) fn new(options: EmbeddedOptions, server_pid: Arc<AtomicU32>) -> Result<Self> {
        let (place, lock) = match &options.kind {
            EmbeddedKind::Persistent { dir } => (Place::project(dir)?, None),
            EmbeddedKind::Memory => {
                let (place, lock) = memory::make()?;
                (place, Some(lock))
            }
        };
        let retry = (Instant::now(), Duration::ZERO);
        Ok(Self { options, place, server_pid, lock, server: None, facts: None, retry })
    }

    fn is_throw_away(&self) -> bool {
        self.options.kind == EmbeddedKind::Memory
    }

    /// Starts a server, or joins one.
    pub(super) fn enter(&mut self) -> Result<State> {
        let deadline = Instant::now() + self.options.start_timeout;
        loop {
            if self.lock.is_some() || self.try_lock()? {
                return self.own(deadline).inspect_err(|_| self.give_up());
            }
            if let Some(state) = State::read(&self.place.root) {
                let reachable = state
                    .is_reachable()
                    .map_err(|error| failed("join the server at", &state.socket(), error))?;
                if reachable {
                    self.facts = Some(state.clone());
                    return Ok(state);
                }
            }
            if Instant::now() >= deadline {
                return Err(Error::new(
                    ErrorKind::EmbeddedFailed,
                    format!(
                        "embedded PostgreSQL: another process holds {} but its server was not \
                         ready in time",
                        self.place.root.join(LOCK).display()
                    ),
                ));
            }
            std::thread::sleep(JOIN_TICK);
        }
    }

    /// Watches over the server until it is to be stopped.
    pub(super) fn run(&mut self, stopped: &Receiver<()>) -> Result<()> {
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            self.tick();
        }
        self.leave()
    }

    fn tick(&mut self) {
        self.notice_end();
        if self.lock.is_none() && self.try_lock().unwrap_or(false) {
            tracing::info!("taking over the embedded PostgreSQL");
        }
        let Some(lock) = &self.lock else { return };
        if !lock.is_current() {
            self.make_way();
        } else if self.server.is_none() && Instant::now() >= self.retry.0 {
            self.restart();
        }
    }

    /// Notices that the server has ended by itself.
    fn notice_end(&mut self) {
        let Some(status) = self.server.as_mut().and_then(Server::exited) else { return };
        let last_words = self.facts.as_ref().map(|facts| Cluster::last_words(&facts.data_dir));
        let (status, log) = (status.map(|s| s.to_string()), last_words.unwrap_or_default());
        tracing::error!(?status, log, "the embedded PostgreSQL ended unexpectedly");
        self.server = None;
    }

    /// Stops the server for good: its directory was removed, so the next start makes a new one.
    fn make_way(&mut self) {
        if self.server.take().is_some() {
            let dir = self.place.root.display();
            tracing::error!(%dir, "the directory is gone; stopped its embedded PostgreSQL");
            self.server_pid.store(0, Ordering::Release);
        }
    }

    fn restart(&mut self) {
        self.retry = match self.own(Instant::now() + self.options.start_timeout) {
            Ok(_) => (Instant::now(), Duration::ZERO),
            Err(error) => {
                tracing::error!(%error, "cannot restart the embedded PostgreSQL");
                let pause = (self.retry.1 * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
                (Instant::now() + pause, pause)
            }
        };
    }

    fn try_lock(&mut self) -> Result<bool> {
        let path = self.place.root.join(LOCK);
        self.lock = Lock::try_acquire(&path).map_err(|error| failed("lock", &path, error))?;
        Ok(self.lock.is_some())
    }

    /// Starts the server, the lock being ours, and publishes where it is.
    fn own(&mut self, deadline: Instant) -> Result<State> {
        let root = &self.place.root;
        if !self.is_throw_away() {
            State::remove(root).map_err(|error| failed("write to", root, error))?;
        }
        let earlier = self.facts.as_ref();
        let account = self.place.account.as_ref();
        let majors = self.place.majors();
        let current_dir = std::env::current_dir().unwrap_or_default();
        let binaries = Search {
            bin_dir: self.options.bin_dir.as_deref(),
            from: if self.is_throw_away() { &current_dir } else { root },
            hint: earlier.map(|facts| facts.bin_dir.as_path()),
            majors: &majors,
            account,
        }
        .run()?;
        let socket_dir = self.place.prepare(earlier.map(|facts| facts.socket_dir.as_path()))?;
        let data_dir = self.place.data_root.join(format!("pg{}", binaries.major));
        if earlier.is_some_and(|facts| facts.data_dir != data_dir) {
            let error = io::Error::other("only another version of PostgreSQL is to be found");
            return Err(failed("restart the server of", &data_dir, error));
        }
        if !majors.is_empty() && !data_dir.exists() {
            let data_dir = data_dir.display();
            tracing::warn!(%data_dir, "making an empty database, next to one of another version");
        }
        if !orphan::settle(&data_dir, Signal::SIGINT, deadline) {
            let error = io::Error::other("the server of an earlier owner does not end");
            return Err(failed("use", &data_dir, error));
        }
        orphan::clear_pid_file(&data_dir);
        orphan::clear_socket(&socket_dir, PORT, deadline);
        let cluster = Cluster {
            binaries: &binaries,
            account,
            data_dir,
            socket_dir: &socket_dir,
            settings: &self.options.settings,
            throw_away: self.is_throw_away(),
        };
        cluster.create(deadline)?;
        let server = cluster.start(deadline)?;
        let facts = State {
            data_dir: cluster.data_dir,
            port: PORT,
            user: USER.to_owned(),
            database: DATABASE.to_owned(),
            bin_dir: binaries.bin_dir,
            server_pid: server.pid(),
            socket_dir,
        };
        if !self.is_throw_away() {
            facts.write(root).map_err(|error| failed("write to", root, error))?;
        }
        self.server_pid.store(server.pid(), Ordering::Release);
        self.server = Some(server);
        self.facts = Some(facts.clone());
        Ok(facts)
    }

    /// Stops what is ours.
    fn leave(&mut self) -> Result<()> {
        let Some(facts) = self.facts.as_ref().filter(|_| self.lock.is_some()) else {
            return Ok(());
        };
        let stopped = self.server.as_mut().map_or(Ok(()), Server::stop);
        let stopped = stopped.map_err(|error| failed("stop the server of", &facts.data_dir, error));
        self.server = None;
        self.give_up();
        stopped
    }

    /// Removes what is not to outlive the server, and last the lock.
    fn give_up(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        self.server_pid.store(0, Ordering::Release);
        if self.is_throw_away() {
            if let Err(error) = std::fs::remove_dir_all(&self.place.root) {
                tracing::warn!(%error, "cannot remove the data of the embedded PostgreSQL");
            }
        } else if lock.is_current() {
            let _ = State::remove(&self.place.root);
            if let Some(facts) = &self.facts {
                // Empty, unless somebody else has put something there.
                let _ = std::fs::remove_dir(&facts.socket_dir);
            }
        }
        drop(lock);
    }
}
