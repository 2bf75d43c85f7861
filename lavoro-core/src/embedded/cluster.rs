//! A data directory: its creation, its settings, and the start of a server on it.

use std::fs::File;
use std::io;
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::find::Binaries;
use super::lock::write_file;
use super::spawn::{self, Account, Server};
use super::{dirs, failed, log};
use crate::error::{Error, ErrorKind, Result};

/// The superuser that owns everything.
pub(super) const USER: &str = "lavoro";
/// The database that is made together with the data.
pub(super) const DATABASE: &str = "lavoro";
/// A part of the socket's name. It can be the usual one, as the directory is not shared.
pub(super) const PORT: u16 = 5432;

/// The server's log, in its data directory.
const LOG: &str = "server.log";
/// Our settings, which the main file includes, so that `alter system` still overrides them.
const CONF: &str = "lavoro.conf";
/// The size at which a start sets the log aside.
const LOG_LIMIT: u64 = 10 << 20;

const SETTINGS: &[(&str, &str)] = &[
    ("cluster_name", "lavoro"),
    ("max_connections", "200"),
    ("shared_buffers", "128MB"),
    ("dynamic_shared_memory_type", "posix"),
    ("unix_socket_permissions", "0700"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_line_prefix", "%m [%p] "),
];
const THROW_AWAY_SETTINGS: &[(&str, &str)] =
    &[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

/// A data directory and what it takes to run a server on it.
pub(super) struct Cluster<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) account: Option<&'a Account>,
    pub(super) data_dir: PathBuf,
    pub(super) socket_dir: &'a Path,
    pub(super) settings: &'a [(String, String)],
    pub(super) throw_away: bool,
}

impl Cluster<'_> {
    /// Makes the data directory, unless it exists. One that exists is complete: it gets its name
    /// only at the end.
    pub(super) fn create(&self, deadline: Instant) -> Result<()> {
        if self.data_dir.exists() {
            return Ok(());
        }
        self.sweep();
        let unfinished = self.unfinished(&format!("{:08x}", rand::random::<u32>()));
        let log_path = unfinished.with_extension("log");
        let result = self.create_at(&unfinished, &log_path, deadline);
        if result.is_err() {
            let _ = std::fs::remove_dir_all(&unfinished);
        }
        let _ = std::fs::remove_file(&log_path);
        result
    }

    fn create_at(&self, dir: &Path, log_path: &Path, deadline: Instant) -> Result<()> {
        let log = log::open(log_path).map_err(|error| failed("write", log_path, error))?;
        let step = |program: &str, arguments: &[&str], input: &str| {
            let mut command = spawn::command(&self.binaries.bin_dir.join(program), self.account);
            command.args(arguments).arg("-D").arg(dir);
            if program == "postgres" {
                command.arg("postgres");
            }
            spawn::run(command, input, &log, deadline)
                .map_err(|error| failed("run", &self.binaries.bin_dir.join(program), error))
        };
        let initdb = |locale: &str| -> Result<bool> {
            dirs::private_dir(dir, self.account).map_err(|error| failed("make", dir, error))?;
            // The directory is removed by us: an initdb that is interrupted together with its
            // parent must not do it under the next one's hands. Trust is fine behind a door
            // that only the server's own user can open.
            let arguments = ["-U", USER, "--auth=trust", "-E", "UTF8", locale, "--no-sync"];
            let arguments = [&arguments[..], &["--no-instructions", "--no-clean"]].concat();
            Ok(step("initdb", &arguments, "")?.success())
        };
        let explain = |what: &str| log::error(what, log_path, 0);
        if !initdb("--locale=C.UTF-8")? {
            let is_unknown = log::text_since(log_path, 0).contains("invalid locale name");
            std::fs::remove_dir_all(dir).map_err(|error| failed("remove", dir, error))?;
            if !is_unknown || !initdb("--locale=C")? {
                return Err(explain("initdb failed"));
            }
        }
        log::append(
            &dir.join("postgresql.conf"),
            format!("\ninclude_if_exists = '{CONF}'\n").as_bytes(),
        )
        .map_err(|error| failed("write", dir, error))?;
        // Not every distribution of the binaries has createdb or psql.
        let durability = if self.throw_away { "fsync=off" } else { "fsync=on" };
        let input = format!("create database {DATABASE};\n");
        let status = step("postgres", &["--single", "-c", durability], &input)?;
        if !status.success() || log::text_since(log_path, 0).contains("ERROR:") {
            return Err(explain("the database could not be created"));
        }
        std::fs::rename(dir, &self.data_dir).map_err(|error| failed("make", &self.data_dir, error))
    }

    /// Starts a server and waits until it accepts connections.
    pub(super) fn start(&self, deadline: Instant) -> Result<Server> {
        self.write_conf()?;
        let log_path = self.data_dir.join(LOG);
        let open = || -> io::Result<(File, u64)> {
            if log_path.symlink_metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT) {
                std::fs::rename(&log_path, log_path.with_extension("log.1"))?;
            }
            let log = log::open(&log_path)?;
            self.give(&log)?;
            let begin = log.metadata()?.len();
            Ok((log, begin))
        };
        loop {
            let (log, begin) = open().map_err(|error| failed("write", &log_path, error))?;
            let program = self.binaries.bin_dir.join("postgres");
            let mut command = spawn::command(&program, self.account);
            command.arg("-D").arg(&self.data_dir).arg("-k").arg(self.socket_dir);
            command.args(["-p", &PORT.to_string(), "-c", "listen_addresses="]);
            let mut server =
                Server::spawn(command, &log).map_err(|error| failed("run", &program, error))?;
            match self.wait_ready(&mut server, deadline) {
                Outcome::Ready => return Ok(server),
                // A server that was killed leaves its backends a moment longer.
                Outcome::Ended
                    if Instant::now() < deadline
                        && log::text_since(&log_path, begin).contains("shared memory block") =>
                {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Outcome::Ended => {
                    return Err(log::error("the server did not start", &log_path, begin));
                }
                Outcome::Late => {
                    drop(server);
                    let what = "the server was not ready in time and was stopped";
                    return Err(log::error(what, &log_path, begin));
                }
            }
        }
    }

    /// The last lines of the server's log.
    pub(super) fn last_words(data_dir: &Path) -> String {
        log::tail(&log::text_since(&data_dir.join(LOG), 0))
    }

    fn wait_ready(&self, server: &mut Server, deadline: Instant) -> Outcome {
        let pid_file = self.data_dir.join("postmaster.pid");
        loop {
            // The file may still be that of an earlier server. Its eighth line is the status.
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = text.lines().map(str::trim);
            if lines.next().and_then(|pid| pid.parse().ok()) == Some(server.pid())
                && lines.nth(6) == Some("ready")
            {
                return Outcome::Ready;
            }
            if server.exited().is_some() {
                return Outcome::Ended;
            }
            if Instant::now() >= deadline {
                return Outcome::Late;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn write_conf(&self) -> Result<()> {
        let path = self.data_dir.join(CONF);
        let text = self.conf()?;
        write_file(&path, text.as_bytes())
            .and_then(|file| self.give(&file))
            .map_err(|error| failed("write", &path, error))
    }

    /// Gives a file that root has made in the data directory to the server's user.
    fn give(&self, file: &File) -> io::Result<()> {
        match self.account {
            Some(account) => fchown(file, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// The text of our settings.
    fn conf(&self) -> Result<String> {
        let throw_away = if self.throw_away { THROW_AWAY_SETTINGS } else { &[] };
        let defaults = SETTINGS.iter().chain(throw_away).copied();
        let extra = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut text = String::from("# Written anew at each start.\n");
        for (name, value) in defaults.chain(extra) {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
            if name.is_empty() || !name.chars().all(is_name) || value.contains(['\n', '\r', '\0']) {
                return Err(Error::new(
                    ErrorKind::InvalidOption,
                    format!(
                        "{name:?} = {value:?} is not a setting of PostgreSQL: a name has \
                             letters, digits, `_` and `.`, a value has no line breaks"
                    ),
                ));
            }
            let value = value.replace('\\', "\\\\").replace('\'', "''");
            text.extend([name, " = '", &value, "'\n"]);
        }
        Ok(text)
    }

    /// The name of a data directory while it is being made.
    fn unfinished(&self, suffix: &str) -> PathBuf {
        let mut name = self.data_dir.file_name().unwrap_or_default().to_owned();
        name.push(format!("-unfinished-{suffix}"));
        self.data_dir.with_file_name(name)
    }

    /// Removes what interrupted creations have left.
    fn sweep(&self) {
        let (Some(dir), pattern) = (self.data_dir.parent(), self.unfinished("")) else { return };
        let prefix = pattern.file_name().unwrap_or_default().as_encoded_bytes();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(prefix) {
                // What cannot be removed is in nobody's way.
                let _ = std::fs::remove_dir_all(entry.path());
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// How the wait for a server ended.
enum Outcome {
    Ready,
    Ended,
    Late,
}
