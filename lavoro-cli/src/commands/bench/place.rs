//! Where the benchmark works: a PostgreSQL of its own, or a schema in someone's database.

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use lavoro_core::embedded::{Embedded, EmbeddedOptions, find_binaries};
use lavoro_core::{ConnectOptions, Lavoro, Migrations};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// The schema of the benchmark.
const SCHEMA: &str = "lavoro_bench";
/// What a private server is given, so that the figures are those of a server and not of a toy.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "1GB"), ("max_wal_size", "8GB")];
/// `USER_HZ`: the unit of times in `/proc` on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Where the benchmark works.
#[derive(Debug)]
pub(super) struct Place {
    options: ConnectOptions,
    private: Option<Private>,
}

/// A server of the benchmark's own.
#[derive(Debug)]
struct Private {
    server: Embedded,
    dir: TempDir,
}

impl Place {
    /// Makes an empty schema.
    pub(super) async fn open(globals: &Globals, dir: Option<&Path>) -> Result<Self> {
        let given = globals.connect_options();
        let private = if given.url.is_none() { Some(start(dir).await?) } else { None };
        let url = private.as_ref().map(|private| private.server.url()).or(given.url.clone());
        let schema = Some(SCHEMA.to_owned());
        let place = Self { options: ConnectOptions { url, schema, ..given }, private };
        let migrations = Migrations::open(place.options.clone()).await?;
        if place.private.is_none() {
            migrations.uninstall().await?;
        }
        migrations.apply().await?;
        Ok(place)
    }

    /// A client.
    pub(super) async fn connect(&self) -> Result<Lavoro> {
        Ok(Lavoro::connect_with(self.options.clone()).await?)
    }

    /// What was measured, in words. Never the URL, which may hold a password.
    pub(super) fn describe(&self) -> String {
        match &self.private {
            Some(_) => "a private PostgreSQL, fsync on".to_owned(),
            None => format!("the schema {SCHEMA} of the given database"),
        }
    }

    /// Whether commits reach a disk; None if that is not known.
    pub(super) fn is_durable(&self) -> Option<bool> {
        let private = self.private.as_ref()?;
        is_on_disk(private.server.data_dir())
    }

    /// The CPU time that the server and its processes, also the ended ones, have used.
    pub(super) fn server_cpu(&self) -> Option<Duration> {
        let server = self.private.as_ref()?.server.server_pid()?;
        let ticks = std::fs::read_dir("/proc")
            .ok()?
            .flatten()
            .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
            .filter_map(|stat| ticks(&stat, server))
            .sum();
        Some(TICK.saturating_mul(ticks))
    }

    /// The CPU time that this process has used.
    pub(super) fn client_cpu() -> Option<Duration> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        Some(TICK.saturating_mul(own_ticks(&stat)?))
    }

    /// The most memory that this process has had so far, in MiB.
    pub(super) fn client_peak_mib() -> Option<f64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    }

    /// The address of the private server, if there is one.
    pub(super) fn private_url(&self) -> Option<String> {
        Some(self.private.as_ref()?.server.url())
    }

    /// A program of PostgreSQL: that beside the server, else that of the path.
    pub(super) fn program(name: &str) -> tokio::process::Command {
        let dir = std::env::current_dir().unwrap_or_default();
        let beside = find_binaries(None, &dir).ok().map(|found| found.bin_dir.join(name));
        let program = beside.filter(|path| path.exists()).unwrap_or_else(|| name.into());
        let mut command = tokio::process::Command::new(program);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Removes everything.
    pub(super) async fn close(self) -> Result<()> {
        let Some(Private { server, dir }) = self.private else {
            let migrations = Migrations::open(self.options).await?;
            return Ok(migrations.uninstall().await?);
        };
        // If we are root, the data is elsewhere, in a directory of its own.
        let data = server.data_dir().parent().map(Path::to_owned);
        let stop = tokio::task::spawn_blocking(|| server.stop());
        stop.await.map_err(|error| Failure::io("cannot stop PostgreSQL", &error.into()))??;
        remove(data.filter(|data| !data.starts_with(dir.path())))?;
        dir.close().map_err(|error| Failure::io("cannot remove the data", &error))
    }
}

async fn start(dir: Option<&Path>) -> Result<Private> {
    let within = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    let dir = tempfile::Builder::new()
        .prefix("lavoro-bench-")
        .tempdir_in(within)
        .map_err(|error| Failure::io("cannot make a directory for the data", &error))?;
    let mut options = EmbeddedOptions::persistent(dir.path().join(".lavoro"));
    options.settings = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let start = tokio::task::spawn_blocking(move || Embedded::start(options));
    let server = start.await.map_err(|error| Failure::io("PostgreSQL", &error.into()))??;
    Ok(Private { server, dir })
}

fn remove(data: Option<PathBuf>) -> Result<()> {
    let removed = data.map_or(Ok(()), std::fs::remove_dir_all);
    removed.map_err(|error| Failure::io("cannot remove the data", &error))
}

/// The ticks of a process, if it is the server (then with those of its children that have ended)
/// or one of its children. The fields are those of `proc(5)`.
fn ticks(stat: &str, server: u32) -> Option<u32> {
    let (head, rest) = stat.rsplit_once(')')?;
    let pid: u32 = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    let own = field(14)? + field(15)?;
    match (pid == server, field(4)? == server) {
        (true, _) => Some(own + field(16)? + field(17)?),
        (false, true) => Some(own),
        (false, false) => None,
    }
}

/// The ticks of this process itself.
fn own_ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(14 - 3);
    Some(fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?)
}

#[cfg(target_os = "linux")]
fn is_on_disk(path: &Path) -> Option<bool> {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    Some(statfs(path).ok()?.filesystem_type() != TMPFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_on_disk(_: &Path) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_server_and_its_children_count() {
        let stat = |pid, parent| {
            format!("{pid} (a) b) S {parent} 1 1 0 -1 4194304 9 9 0 0 100 20 3000 400 20 0 1 0 5 6")
        };
        assert_eq!(ticks(&stat(7, 1), 7), Some(3520));
        assert_eq!(ticks(&stat(8, 7), 7), Some(120));
        assert_eq!(ticks(&stat(9, 8), 7), None);
        assert_eq!(ticks("", 7), None);
    }
}
