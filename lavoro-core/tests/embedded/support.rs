//! Projects, questions to their servers, and processes that share them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Makes a new process of this program a helper.
pub(crate) const HELPER: &str = "LAVORO_TEST_HELPER";

/// Waits until `condition` holds.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // An orphan may stay a zombie where process 1 does not reap.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('Z'));
    !is_zombie && kill(Pid::from_raw(pid.cast_signed()), None) != Err(Errno::ESRCH)
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// A directory of a project; removed at the end together with what root keeps elsewhere.
pub(crate) struct Project(pub(crate) PathBuf);

impl Project {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lavoro-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub(crate) fn lavoro(&self) -> PathBuf {
        self.0.join(".lavoro")
    }

    pub(crate) fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions::persistent(self.lavoro())
    }

    pub(crate) fn start(&self) -> Embedded {
        Embedded::start(self.options()).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if let Ok(location) = std::fs::read_to_string(self.lavoro().join("location")) {
            let _ = std::fs::remove_dir_all(location);
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Asks the server a question in PostgreSQL's own protocol; the first column of the answer.
pub(crate) fn query(
    socket: &Path,
    user: &str,
    database: &str,
    sql: &str,
) -> Result<Vec<String>, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut startup = vec![0, 3, 0, 0];
    for text in ["user", user, "database", database] {
        startup.extend(text.as_bytes());
        startup.push(0);
    }
    startup.push(0);
    let send = |mut stream: &UnixStream, tag: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        stream.write_all(&[tag, &length, body].concat()).map_err(|error| error.to_string())
    };
    send(&stream, b"", &startup)?;
    let mut is_asked = false;
    let mut rows = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).map_err(|error| error.to_string())?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) - 4;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).map_err(|error| error.to_string())?;
        match head[0] {
            b'Z' if is_asked => return Ok(rows),
            b'Z' => {
                is_asked = true;
                send(&stream, b"Q", &[sql.as_bytes(), &[0]].concat())?;
            }
            b'D' => {
                let end = 6 + u32::from_be_bytes(body[2..6].try_into().unwrap()) as usize;
                rows.push(String::from_utf8(body[6..end].to_vec()).unwrap());
            }
            b'E' => return Err(String::from_utf8_lossy(&body).replace('\0', " ")),
            _ => {}
        }
    }
}

pub(crate) fn socket(server: &Embedded) -> PathBuf {
    server.socket_dir().join(format!(".s.PGSQL.{}", server.port()))
}

pub(crate) fn try_ask(server: &Embedded, sql: &str) -> Result<Vec<String>, String> {
    query(&socket(server), server.user(), server.database(), sql)
}

pub(crate) fn ask(server: &Embedded, sql: &str) -> Vec<String> {
    try_ask(server, sql).unwrap()
}

/// Another process that has started or joined a server.
pub(crate) struct Helper {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn command(mode: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]).env(HELPER, mode);
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// Starts a process and returns its first report.
    pub(crate) fn start(command: &mut Command) -> (Self, String) {
        let mut helper = Self::spawn(command);
        let report = helper.report();
        (helper, report)
    }

    /// The report of a process that does not wait for anything.
    pub(crate) fn once(command: &mut Command) -> String {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.split_once("@@ ")).unwrap().1.to_owned()
    }

    pub(crate) fn in_project(project: &Project) -> (Self, String) {
        Self::start(Self::command("project").env("DIR", project.lavoro()))
    }

    pub(crate) fn report(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the helper ended");
            if let Some((_, report)) = line.split_once("@@ ") {
                return report.trim().to_owned();
            }
        }
    }

    pub(crate) fn status(&mut self) -> String {
        self.input.as_ref().unwrap().write_all(b"status\n").unwrap();
        self.report()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Does nothing if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn pid_in(report: &str) -> u32 {
    report.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A copy of this program that every user can run.
pub(crate) struct PublicCopy(pub(crate) Project);

impl PublicCopy {
    pub(crate) fn new() -> Self {
        let project = Project::new();
        let program = project.0.join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        Self(project)
    }

    pub(crate) fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(self.0.0.join("test"));
        command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]).env(HELPER, mode);
        command.current_dir("/");
        command
    }
}

pub(crate) fn nobody() -> User {
    User::from_name("nobody").unwrap().unwrap()
}
