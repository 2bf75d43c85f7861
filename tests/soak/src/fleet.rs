//! The child processes: started, watched, and started again when they die.

use crate::Result;
use crate::log::{Log, now};
use crate::options::Options;
use lavoro_tests::Proxy;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Worker,
    Producer,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Producer => "producer",
        }
    }
}

/// A place for a child, with its way to the server.
struct Slot {
    role: Role,
    url: String,
    proxy: Option<Arc<Proxy>>,
    child: Option<Child>,
}

/// All children. Dropped, it ends them.
pub(crate) struct Fleet {
    options: Options,
    slots: Mutex<Vec<Slot>>,
    log: Arc<Log>,
    born: AtomicU64,
    watching: AtomicBool,
}

impl Fleet {
    /// Starts every child. The first of each role reaches the server directly, the others
    /// through a proxy of their own.
    pub(crate) async fn start(options: &Options, url: &str, log: Arc<Log>) -> Result<Arc<Self>> {
        let mut slots = Vec::new();
        for (role, count) in [(Role::Worker, options.workers), (Role::Producer, options.producers)]
        {
            for number in 0..count {
                let proxy =
                    if number == 0 { None } else { Some(Arc::new(Proxy::start(url).await)) };
                let url = proxy.as_ref().map_or_else(|| url.to_owned(), |proxy| proxy.url());
                slots.push(Slot { role, url, proxy, child: None });
            }
        }
        let fleet = Self {
            options: options.clone(),
            slots: Mutex::new(slots),
            log,
            born: AtomicU64::new(0),
            watching: AtomicBool::new(true),
        };
        fleet.look()?;
        Ok(Arc::new(fleet))
    }

    /// Replaces the dead, again and again, until told to stop.
    pub(crate) async fn watch(self: Arc<Self>) {
        while self.watching.load(Ordering::SeqCst) {
            if let Err(error) = self.look() {
                eprintln!("a child cannot be started: {error}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn look(&self) -> Result<()> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.watching.load(Ordering::SeqCst) {
            return Ok(());
        }
        for slot in slots.iter_mut() {
            if let Some(child) = &mut slot.child {
                let Some(status) = child.try_wait()? else { continue };
                let signal = status.signal().unwrap_or(0);
                let role = slot.role.as_str();
                self.log.line(format_args!("exit {role} {} {signal} {}", child.id(), now()));
            }
            slot.child = Some(self.spawn(slot.role, &slot.url)?);
        }
        Ok(())
    }

    fn spawn(&self, role: Role, url: &str) -> Result<Child> {
        let born = self.born.fetch_add(1, Ordering::SeqCst);
        let options = &self.options;
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(options.dir.join(format!("out.{}", role.as_str())))?;
        let mut command = Command::new(&options.program);
        command.arg(role.as_str()).arg("--url").arg(url).arg("--dir").arg(&options.dir);
        match role {
            Role::Worker => command.arg("--lease").arg(options.lease.as_millis().to_string()),
            Role::Producer => command
                .arg("--seed")
                .arg(options.seed.wrapping_add(born).to_string())
                .arg("--pace")
                .arg((options.pace() / options.producers.max(1) as u64).max(1).to_string()),
        };
        if let Some(sabotage) = &options.sabotage {
            command.env("LAVORO_SABOTAGE", sabotage);
        }
        // An interrupt from the keyboard is for the supervisor alone.
        command.process_group(0);
        Ok(command.stdin(Stdio::piped()).stdout(out.try_clone()?).stderr(out).spawn()?)
    }

    /// A process of this role, by chance.
    pub(crate) fn pick(&self, role: Role, dice: u64) -> Option<u32> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let pids: Vec<u32> = slots
            .iter()
            .filter(|slot| slot.role == role)
            .filter_map(|slot| slot.child.as_ref().map(Child::id))
            .collect();
        (!pids.is_empty()).then(|| pids[usize::try_from(dice).unwrap_or(0) % pids.len()])
    }

    /// A process behind a proxy, by chance.
    pub(crate) fn pick_proxied(&self, dice: u64) -> Option<(u32, Arc<Proxy>)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> = slots
            .iter()
            .filter_map(|slot| Some((slot.child.as_ref()?.id(), Arc::clone(slot.proxy.as_ref()?))))
            .collect();
        let place = usize::try_from(dice).unwrap_or(0) % found.len().max(1);
        found.into_iter().nth(place)
    }

    /// Sends a child a signal, unless it is dead already.
    pub(crate) fn signal(&self, pid: u32, signal: Signal) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock nobody reaps the child, so that its number is still its own.
        if slots.iter().any(|slot| slot.child.as_ref().is_some_and(|child| child.id() == pid)) {
            let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
        }
    }

    /// Lets all children of a role end by themselves. Answers how many had to be killed.
    pub(crate) async fn stop(&self, role: Role, patience: Duration) -> usize {
        let leaving: Vec<Child> = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let (leaving, staying): (Vec<_>, Vec<_>) =
                slots.drain(..).partition(|slot| slot.role == role);
            *slots = staying;
            leaving.into_iter().filter_map(|slot| slot.child).collect()
        };
        let deadline = Instant::now() + patience;
        let mut hung = 0;
        let mut leaving = leaving;
        for child in &mut leaving {
            drop(child.stdin.take());
        }
        for mut child in leaving {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            match child.try_wait() {
                Ok(Some(status)) if !status.success() => {
                    let signal = status.signal().unwrap_or(0);
                    let role = role.as_str();
                    self.log.line(format_args!("exit {role} {} {signal} {}", child.id(), now()));
                }
                Ok(Some(_)) => {}
                _ => {
                    hung += 1;
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
        hung
    }

    /// From now on the dead stay dead.
    pub(crate) fn end(&self) {
        self.watching.store(false, Ordering::SeqCst);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        for child in slots.iter_mut().filter_map(|slot| slot.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        slots.clear();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}
