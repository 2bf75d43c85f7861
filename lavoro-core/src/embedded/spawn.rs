//! Child processes: their privileges, their end together with ours, and their stop.

use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, Uid, User, getppid, setsid};

use crate::error::{Error, ErrorKind, Result};

/// How long a fast shutdown may take before it becomes an immediate one.
const FAST: Duration = Duration::from_secs(10);
/// How long an immediate shutdown may take before the server is killed. PostgreSQL itself gives
/// its backends five seconds.
const IMMEDIATE: Duration = Duration::from_secs(7);

/// The user that the server runs as when we are root, whom PostgreSQL refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
}

impl Account {
    /// The account for a new cluster: none if we are not root, else `postgres` or `nobody`.
    pub(super) fn for_new() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let found = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten().filter(|u| !u.uid.is_root()));
        match found {
            Some(user) => Ok(Some(user.into())),
            None => Err(Error::new(
                ErrorKind::EmbeddedFailed,
                "PostgreSQL does not run as root, and there is neither a user `postgres` nor \
                 `nobody` to run it as; run this program as another user",
            )),
        }
    }

    /// The account that owns existing data. Only `initdb` insists on one with a name.
    pub(super) fn of_owner(uid: u32, gid: u32) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        user.map_or_else(|| Self { uid, gid, name: uid.to_string() }, Self::from)
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name }
    }
}

/// Whether this process is root.
pub(super) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// A command that runs as `account`, in its own session, and is interrupted when the calling
/// thread ends.
///
/// `uid` makes the standard library drop all supplementary groups as well, and it does both
/// before the closure below runs: a change of user clears the parent-death signal.
#[allow(unsafe_code, reason = "the standard library marks everything between fork and exec so")]
pub(super) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    // The working directory may be one that the account cannot enter.
    command.current_dir("/").stdin(Stdio::null());
    // Variables such as PGDATA, PGPORT and LC_ALL are meant for other servers; and messages are
    // recognised below by their English text.
    for (name, _) in std::env::vars_os() {
        let name_bytes = name.as_encoded_bytes();
        if name_bytes.starts_with(b"PG") || name_bytes.starts_with(b"LC_") {
            command.env_remove(&name);
        }
    }
    command.env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid).env("USER", &account.name).env_remove("HOME");
    }
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe functions may run. `prepare` makes
    // three system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || prepare(parent)) };
    command
}

/// Runs in the child, right before exec.
fn prepare(parent: u32) -> io::Result<()> {
    // Out of the terminal's process group, or Ctrl-C would stop the server before its users.
    setsid()?;
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGINT)?;
    // If the parent died before that, nobody will ever tell us.
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        return Err(io::Error::from_raw_os_error(Errno::ESRCH as i32));
    }
    Ok(())
}

/// Runs a command to its end with `input`, its output going to the file `log`.
pub(super) fn run(
    mut command: Command,
    input: &str,
    log: &File,
    deadline: Instant,
) -> io::Result<ExitStatus> {
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that ended early says why in its log; that the pipe broke is no news.
        let _ = stdin.write_all(input.as_bytes());
    }
    if let Some(status) = wait(&mut child, deadline)? {
        return Ok(status);
    }
    // Its own children, too: the programs of PostgreSQL have some, and `prepare` made a group.
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    killpg(Pid::from_raw(group), Signal::SIGKILL)?;
    child.wait()?;
    Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long"))
}

/// Waits for a child until `deadline`.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// A postmaster that is our child. Only the thread that started it may hold it, which is also
/// why a signal never meets a process id that has been reaped and given to another process.
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts the postmaster.
    pub(super) fn spawn(mut command: Command, log: &File) -> io::Result<Self> {
        command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        Ok(Self { child: command.spawn()? })
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the server ended, if it did.
    pub(super) fn exited(&mut self) -> Option<io::Result<ExitStatus>> {
        // An error means that somebody else has reaped the child.
        self.child.try_wait().transpose()
    }

    /// Stops the server: first fast, then at once.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        for (signal, patience) in [(Signal::SIGINT, FAST), (Signal::SIGQUIT, IMMEDIATE)] {
            if self.exited().is_some() {
                return Ok(());
            }
            send(self.pid(), signal)?;
            if wait(&mut self.child, Instant::now() + patience)?.is_some() {
                return Ok(());
            }
        }
        self.child.kill()?;
        self.child.wait()?;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not stop and was killed"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(pid = self.pid(), %error, "could not stop the embedded PostgreSQL");
        }
    }
}

/// Sends a signal; that the process is already gone is no error.
pub(super) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let Ok(pid) = i32::try_from(pid) else { return Ok(()) };
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process with this id exists.
pub(super) fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}
