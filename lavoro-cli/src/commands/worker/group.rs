//! Process groups of commands: none outlives its job, whatever ends that.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::Notify;

/// How long a group has between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// The groups that live.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    live: Mutex<HashSet<Pid>>,
    gone: Notify,
}

impl Groups {
    fn live(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no group is left.
    pub(super) async fn ended(&self) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.live().is_empty() {
                return;
            }
            gone.await;
        }
    }

    /// Kills every group, and lets no more be started: for a program that ends at once.
    pub(super) fn kill(&self) {
        let live = self.live();
        for group in live.iter() {
            send(*group, Signal::SIGKILL);
        }
        // Whoever wants to start a command waits for this lock from now on.
        std::mem::forget(live);
    }

    /// Starts a command in a group of its own. Under the lock, so that none is started that
    /// `kill` does not see.
    pub(crate) fn start(
        self: &Arc<Self>,
        spawn: impl FnOnce() -> std::io::Result<Child>,
    ) -> std::io::Result<Leader> {
        let mut live = self.live();
        let child = spawn()?;
        let id = child.id().and_then(|id| id.try_into().ok());
        let group = Pid::from_raw(id.ok_or_else(|| std::io::Error::other("it has no number"))?);
        live.insert(group);
        Ok(Leader { child: Some(child), group, groups: Arc::clone(self) })
    }

    fn forget(&self, group: Pid) {
        self.live().remove(&group);
        self.gone.notify_waiters();
    }
}

/// A command that leads a process group. Dropped before it has ended, the group is told to end
/// (SIGTERM), and killed if it does not.
#[derive(Debug)]
pub(crate) struct Leader {
    /// None once the process has been waited for.
    child: Option<Child>,
    group: Pid,
    groups: Arc<Groups>,
}

impl Leader {
    /// The child, as long as it has not been waited for.
    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Waits until the process has exited. When `told` is done, its group is told to end
    /// (SIGTERM), and killed if it does not.
    pub(crate) async fn wait(
        &mut self,
        told: impl Future<Output = ()>,
    ) -> std::io::Result<ExitStatus> {
        let group = self.group;
        let Some(child) = &mut self.child else {
            return Err(std::io::Error::other("it has been waited for"));
        };
        tokio::select! {
            biased;
            status = child.wait() => return status,
            () = told => send(group, Signal::SIGTERM),
        }
        if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
            return status;
        }
        send(group, Signal::SIGKILL);
        child.wait().await
    }

    /// Kills what an exited process has left in its group.
    pub(crate) fn clean_up(mut self) {
        self.child = None;
        send(self.group, Signal::SIGKILL);
        self.groups.forget(self.group);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let (group, groups) = (self.group, Arc::clone(&self.groups));
        send(group, Signal::SIGTERM);
        // Without a runtime, `kill_on_drop` ends at least the leader.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            send(group, Signal::SIGKILL);
            groups.forget(group);
            return;
        };
        runtime.spawn(async move {
            let ended = tokio::time::timeout(GRACE, child.wait()).await;
            // Also if the leader has ended: others of its group may not have.
            send(group, Signal::SIGKILL);
            if ended.is_err() {
                let _ = child.wait().await;
            }
            groups.forget(group);
        });
    }
}

/// Signals a group. One that is gone is none to worry about.
fn send(group: Pid, signal: Signal) {
    let _ = killpg(group, signal);
}
