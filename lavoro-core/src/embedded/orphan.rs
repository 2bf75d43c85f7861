//! Servers that have outlived their owner.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::spawn::{is_alive, send};

/// How long an orphan may take to notice by itself that its parent has died.
const NOTICE: Duration = Duration::from_secs(3);
/// How often to look.
const TICK: Duration = Duration::from_millis(20);

/// Waits until no server runs on `data_dir`, and sends `signal` to one that does not end by
/// itself. False if one still runs at the deadline. Only the holder of the lock may call this.
pub(super) fn settle(data_dir: &Path, signal: Signal, deadline: Instant) -> bool {
    let pid_file = data_dir.join("postmaster.pid");
    let impatient = (Instant::now() + NOTICE).min(deadline);
    let mut signalled = false;
    while let Some(pid) = read_pid(&pid_file) {
        if !is_alive(pid) {
            // PostgreSQL overwrites such a file by itself.
            return true;
        }
        match serves(pid, data_dir) {
            Some(true) => {}
            // The id belongs to another process, or the decision to PostgreSQL.
            Some(false) | None => return true,
        }
        let now = Instant::now();
        if now >= impatient && !signalled {
            tracing::warn!(pid, "stopping an embedded PostgreSQL whose owner is gone");
            signalled = send(pid, signal).is_ok();
        }
        if now >= deadline {
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

/// Removes a `postmaster.pid` whose process is not a server on `data_dir`: the id was given to
/// another process, or the data was copied together with the file. PostgreSQL would not dare to
/// start. Only the holder of the lock may call this.
pub(super) fn clear_pid_file(data_dir: &Path) {
    let pid_file = data_dir.join("postmaster.pid");
    if read_pid(&pid_file).is_some_and(|pid| serves(pid, data_dir) == Some(false)) {
        // If that fails, PostgreSQL says what is wrong.
        let _ = std::fs::remove_file(&pid_file);
    }
}

/// Waits until no server uses the socket in `socket_dir`, and removes what one has left there.
/// Only the holder of the lock may call this; and yet there can be a server, if its project's
/// directory was removed and a new one made.
pub(super) fn clear_socket(socket_dir: &Path, port: u16, deadline: Instant) {
    let socket = socket_dir.join(format!(".s.PGSQL.{port}"));
    let pid_file = socket.with_added_extension("lock");
    while let Some(pid) = read_pid(&pid_file) {
        let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
        let data_dir = text.lines().nth(1).unwrap_or_default();
        if !is_alive(pid) || serves(pid, Path::new(data_dir)) == Some(false) {
            // A dead process still has its id until it is reaped, which in a container may be
            // never. PostgreSQL would take it for a running server.
            let _ = std::fs::remove_file(&socket);
            let _ = std::fs::remove_file(&pid_file);
            return;
        }
        if Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(TICK);
    }
}

/// The process id in the first line of a server's lock file.
fn read_pid(pid_file: &Path) -> Option<u32> {
    std::fs::read_to_string(pid_file).ok()?.lines().next()?.trim().parse().ok()
}

/// Whether a process is a server on `data_dir`, if that can be found out.
#[cfg(target_os = "linux")]
fn serves(pid: u32, data_dir: &Path) -> Option<bool> {
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let data_dir = data_dir.as_os_str().as_encoded_bytes();
    Some(arguments.windows(2).any(|pair| pair == [b"-D".as_slice(), data_dir]))
}

/// Whether a process is a server on `data_dir`, if that can be found out.
#[cfg(not(target_os = "linux"))]
fn serves(pid: u32, data_dir: &Path) -> Option<bool> {
    let output = std::process::Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let command_line = String::from_utf8_lossy(&output.stdout);
    Some(command_line.contains(&format!("-D {} ", data_dir.display())))
}
