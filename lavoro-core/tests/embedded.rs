//! The embedded PostgreSQL, for real: with the binaries of this machine, and with processes that
//! are killed. `LAVORO_TEST_NPM_PG` may name the `native/bin` of an npm package to test as well.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lavoro_core::ErrorKind;
use lavoro_core::embedded::{Embedded, EmbeddedOptions, find_binaries, find_project_dir};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, getsid};

const PATIENCE: Duration = Duration::from_mins(1);
/// Makes a new process of this program a helper.
const HELPER: &str = "LAVORO_TEST_HELPER";

/// Waits until `condition` holds.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: u32) -> bool {
    // An orphan may stay a zombie where process 1 does not reap.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim().starts_with('Z'));
    !is_zombie && kill(Pid::from_raw(pid.cast_signed()), None) != Err(Errno::ESRCH)
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// A directory of a project; removed at the end together with what root keeps elsewhere.
struct Project(PathBuf);

impl Project {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lavoro-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        Self(dir)
    }

    fn lavoro(&self) -> PathBuf {
        self.0.join(".lavoro")
    }

    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions::persistent(self.lavoro())
    }

    fn start(&self) -> Embedded {
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
fn query(socket: &Path, user: &str, database: &str, sql: &str) -> Result<Vec<String>, String> {
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

fn socket(server: &Embedded) -> PathBuf {
    server.socket_dir().join(format!(".s.PGSQL.{}", server.port()))
}

fn try_ask(server: &Embedded, sql: &str) -> Result<Vec<String>, String> {
    query(&socket(server), server.user(), server.database(), sql)
}

fn ask(server: &Embedded, sql: &str) -> Vec<String> {
    try_ask(server, sql).unwrap()
}

/// Another process that has started or joined a server.
struct Helper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn command(mode: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]).env(HELPER, mode);
        command
    }

    fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    /// Starts a process and returns its first report.
    fn start(command: &mut Command) -> (Self, String) {
        let mut helper = Self::spawn(command);
        let report = helper.report();
        (helper, report)
    }

    /// The report of a process that does not wait for anything.
    fn once(command: &mut Command) -> String {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.split_once("@@ ")).unwrap().1.to_owned()
    }

    fn in_project(project: &Project) -> (Self, String) {
        Self::start(Self::command("project").env("DIR", project.lavoro()))
    }

    fn report(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the helper ended");
            if let Some((_, report)) = line.split_once("@@ ") {
                return report.trim().to_owned();
            }
        }
    }

    fn status(&mut self) -> String {
        self.input.as_ref().unwrap().write_all(b"status\n").unwrap();
        self.report()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
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

/// Not a test: what another process does.
#[test]
fn helper() {
    let Some(mode) = std::env::var_os(HELPER) else { return };
    let dir = std::env::var_os("DIR").map(PathBuf::from).unwrap_or_default();
    let options = match mode.to_str().unwrap() {
        "project" => EmbeddedOptions::persistent(dir),
        "memory" => EmbeddedOptions::memory(),
        "connect" => {
            println!("@@ {:?}", UnixStream::connect(dir).map_err(|error| error.kind()));
            return;
        }
        other => panic!("no mode {other}"),
    };
    let server = match Embedded::start(options) {
        Ok(server) => server,
        Err(error) => {
            println!("@@ error {} {}", error.code(), error.message().replace('\n', " "));
            return;
        }
    };
    let report = || {
        let answer = try_ask(&server, "select current_setting('data_directory')");
        let role = if server.is_owner() { "owner" } else { "joined" };
        println!("@@ {role} {} {answer:?}", server.server_pid().unwrap_or_default());
    };
    report();
    for _ in std::io::stdin().lines() {
        report();
    }
    server.stop().unwrap();
}

fn pid_in(report: &str) -> u32 {
    report.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn data_survives_a_restart() {
    let project = Project::new();
    let server = project.start();
    assert!(server.is_owner());
    assert!(is_alive(server.server_pid().unwrap()));
    assert_eq!(ask(&server, "select current_database() || ' ' || current_user"), ["lavoro lavoro"]);
    assert_eq!(ask(&server, "show server_encoding"), ["UTF8"]);
    assert_eq!(ask(&server, "show listen_addresses"), [""]);
    assert_eq!(ask(&server, "show fsync"), ["on"]);
    assert_eq!(ask(&server, "show max_connections"), ["200"]);
    ask(&server, "create table kept as select 42 as answer");
    let (pid, socket_dir) = (server.server_pid().unwrap(), server.socket_dir().to_owned());
    server.stop().unwrap();
    assert!(!is_alive(pid));
    assert!(!socket_dir.exists());

    let server = project.start();
    assert_eq!(server.socket_dir(), socket_dir);
    assert_eq!(ask(&server, "select answer from kept"), ["42"]);
    let pid = server.server_pid().unwrap();
    drop(server);
    assert!(!is_alive(pid));
    assert_eq!(std::fs::read_to_string(project.lavoro().join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn nothing_is_open_to_other_users() {
    let project = Project::new();
    let server = project.start();
    for dir in [server.socket_dir(), server.data_dir()] {
        assert_eq!(dir.metadata().unwrap().mode() & 0o077, 0, "{}", dir.display());
    }
    if !Uid::effective().is_root() {
        return;
    }
    let (program, user) = (PublicCopy::new(), nobody());
    let mut command = program.command("connect");
    command.env("DIR", socket(&server)).uid(user.uid.as_raw()).gid(user.gid.as_raw());
    let report = Helper::once(&mut command);
    assert_eq!(report, "Err(PermissionDenied)");
}

#[test]
fn the_url_works_in_psql() {
    let server = Embedded::start(EmbeddedOptions::memory()).unwrap();
    assert!(server.url().starts_with("postgres://lavoro@%2F"), "{}", server.url());
    assert!(server.url().ends_with(":5432/lavoro"), "{}", server.url());
    let output = Command::new("psql").args([&server.url(), "-Atc", "select 6 * 7"]).output();
    if let Ok(output) = output {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42\n");
    }
}

#[test]
fn a_second_handle_joins_and_takes_over() {
    let project = Project::new();
    let first = project.start();
    let second = project.start();
    assert!(first.is_owner() && !second.is_owner());
    assert_eq!(second.server_pid(), first.server_pid());
    assert_eq!(second.socket_dir(), first.socket_dir());
    ask(&second, "create table kept as select 1 as answer");
    let third = project.start();
    third.stop().unwrap();
    assert_eq!(ask(&first, "select answer from kept"), ["1"]);

    first.stop().unwrap();
    until("the take-over", || second.is_owner().then_some(()));
    assert_eq!(ask(&second, "select answer from kept"), ["1"]);
    second.stop().unwrap();
}

#[test]
fn a_killed_owner_is_succeeded() {
    let project = Project::new();
    let (owner, report) = Helper::in_project(&project);
    assert!(report.starts_with("owner"), "{report}");
    let joined = project.start();
    assert!(!joined.is_owner());
    assert_eq!(joined.server_pid(), Some(pid_in(&report)));
    let (mut other, other_report) = Helper::in_project(&project);
    assert!(other_report.starts_with("joined"), "{other_report}");
    ask(&joined, "create table kept as select 1 as answer");

    owner.kill();
    until("the end of the server", || (!is_alive(pid_in(&report))).then_some(()));
    let answer = until("a new owner", || try_ask(&joined, "select answer from kept").ok());
    assert_eq!(answer, ["1"]);
    let log = std::fs::read_to_string(joined.data_dir().join("server.log")).unwrap();
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
    // Exactly one of the two has taken over.
    let is_other = until("a settled state", || {
        let report = other.status();
        let is_settled = report.starts_with("owner") != joined.is_owner();
        is_settled.then(|| report.starts_with("owner"))
    });
    if is_other {
        other.stop();
        until("the last owner", || joined.is_owner().then_some(()));
    } else {
        drop(joined);
        until("the last owner", || other.status().starts_with("owner").then_some(()));
        other.stop();
    }
}

#[test]
fn a_killed_owner_takes_its_server_along() {
    let project = Project::new();
    let (owner, report) = Helper::in_project(&project);
    let pid = pid_in(&report);
    assert!(is_alive(pid));
    owner.kill();
    // Nobody else knows of this project.
    until("the end of the server", || (!is_alive(pid)).then_some(()));
    let server = project.start();
    assert!(server.is_owner());
    let log = std::fs::read_to_string(server.data_dir().join("server.log")).unwrap();
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
}

#[test]
fn processes_that_start_together_agree_on_one_server() {
    let project = Project::new();
    for round in 0..2 {
        let mut commands: Vec<_> = (0..5).map(|_| Helper::command("project")).collect();
        let starting: Vec<_> =
            commands.iter_mut().map(|c| Helper::spawn(c.env("DIR", project.lavoro()))).collect();
        let (helpers, reports): (Vec<_>, Vec<_>) = starting
            .into_iter()
            .map(|mut helper| {
                let report = helper.report();
                (helper, report)
            })
            .unzip();
        let owners = reports.iter().filter(|report| report.starts_with("owner")).count();
        assert_eq!(owners, 1, "round {round}: {reports:?}");
        assert!(reports.iter().all(|report| report.contains("Ok([")), "{reports:?}");
        helpers.into_iter().for_each(Helper::kill);
    }
    // Whatever was in progress when they were killed, one at a time, is no obstacle.
    assert_eq!(ask(&project.start(), "select 1"), ["1"]);
}

#[test]
fn the_server_outlives_the_thread_that_started_it() {
    let server = std::thread::spawn(|| Embedded::start(EmbeddedOptions::memory()).unwrap());
    let server = server.join().unwrap();
    let pid = Pid::from_raw(server.server_pid().unwrap().cast_signed());
    // In its own session, out of reach of the terminal's Ctrl-C.
    assert_eq!(getsid(Some(pid)).unwrap(), pid);
    assert_eq!(ask(&server, "select 1"), ["1"]);
}

#[test]
fn a_start_recovers_when_everything_was_killed() {
    let project = Project::new();
    let (owner, report) = Helper::in_project(&project);
    let pid = pid_in(&report);
    send(owner.child.id(), Signal::SIGSTOP);
    send(pid, Signal::SIGKILL);
    owner.kill();
    let server = project.start();
    assert!(server.is_owner());
    assert_eq!(ask(&server, "select 1"), ["1"]);
    let log = std::fs::read_to_string(server.data_dir().join("server.log")).unwrap();
    assert!(log.contains("not properly shut down"), "{log}");
}

#[test]
fn a_pid_file_of_another_process_is_no_obstacle() {
    let project = Project::new();
    let server = project.start();
    let data_dir = server.data_dir().to_owned();
    let pid_file = data_dir.join("postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    let pid = server.server_pid().unwrap().to_string();
    server.stop().unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(&pid_file, text.replace(&pid, &bystander.id().to_string())).unwrap();

    let server = project.start();
    assert_eq!(ask(&server, "select 1"), ["1"]);
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_crashed_server_is_restarted() {
    let project = Project::new();
    let server = project.start();
    ask(&server, "create table kept as select 1 as answer");
    let pid = server.server_pid().unwrap();
    send(pid, Signal::SIGKILL);
    let answer = until("the restart", || {
        (server.server_pid() != Some(pid)).then(|| try_ask(&server, "select answer from kept"))
    });
    assert_eq!(answer.unwrap(), ["1"]);
    server.stop().unwrap();
}

#[test]
fn a_server_whose_directory_was_removed_makes_way() {
    let project = Project::new();
    let old = project.start();
    let (pid, old_data) = (old.server_pid().unwrap(), old.data_dir().to_owned());
    std::fs::remove_dir_all(project.lavoro()).unwrap();
    let new = project.start();
    assert!(new.is_owner() && !is_alive(pid));
    assert_eq!(ask(&new, "select 1"), ["1"]);
    assert_eq!(old.data_dir(), old_data);
    old.stop().unwrap();
    assert_eq!(ask(&new, "select 1"), ["1"]);
}

#[test]
fn memory_is_private_and_leaves_nothing() {
    let first = Embedded::start(EmbeddedOptions::memory()).unwrap();
    let second = Embedded::start(EmbeddedOptions::memory()).unwrap();
    assert!(first.is_owner() && second.is_owner());
    assert_ne!(first.data_dir(), second.data_dir());
    assert_eq!(ask(&first, "show fsync"), ["off"]);
    let dirs = [first.data_dir(), second.data_dir()].map(|dir| dir.parent().unwrap().to_owned());
    assert_eq!(dirs[0].metadata().unwrap().mode() & 0o077, 0);
    first.stop().unwrap();
    assert!(!dirs[0].exists());
    assert_eq!(ask(&second, "select 1"), ["1"]);
    drop(second);
    assert!(!dirs[1].exists());
}

#[test]
fn memory_of_a_killed_process_is_swept() {
    let (owner, report) = Helper::start(&mut Helper::command("memory"));
    let data_dir = PathBuf::from(report.split('"').nth(1).unwrap());
    let pid = pid_in(&report);
    owner.kill();
    until("the end of the server", || (!is_alive(pid)).then_some(()));
    let root = data_dir.parent().unwrap();
    drop(Embedded::start(EmbeddedOptions::memory()).unwrap());
    assert!(!root.exists(), "{}", root.display());
}

#[test]
fn settings_are_checked_and_used() {
    let mut options = EmbeddedOptions::memory();
    options.settings = vec![
        ("max_connections".to_owned(), "17".to_owned()),
        ("application_name".to_owned(), r"it's a \ test".to_owned()),
    ];
    let server = Embedded::start(options.clone()).unwrap();
    assert_eq!(ask(&server, "show max_connections"), ["17"]);
    assert_eq!(ask(&server, "show application_name"), [r"it's a \ test"]);

    options.settings = vec![("wal_level".to_owned(), "maximal".to_owned())];
    let error = Embedded::start(options.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EmbeddedFailed);
    assert!(error.message().contains("invalid value for parameter"), "{error}");

    for (name, value) in [("a b", "1"), ("", "1"), ("port", "1\nfsync = off")] {
        options.settings = vec![(name.to_owned(), value.to_owned())];
        let error = Embedded::start(options.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    }
}

#[test]
fn a_start_that_takes_too_long_leaves_nothing() {
    let project = Project::new();
    let mut options = project.options();
    options.start_timeout = Duration::from_millis(50);
    let error = Embedded::start(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::EmbeddedFailed, "{error}");
    let server = project.start();
    assert!(server.is_owner());
    let data_root = server.data_dir().parent().unwrap();
    let names = std::fs::read_dir(data_root).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("unfinished")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_binaries_the_error_names_one_command() {
    let project = Project::new();
    let mut options = project.options();
    options.bin_dir = Some(project.0.clone());
    let error = Embedded::start(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PostgresNotFound);
    assert!(error.message().contains(project.0.to_str().unwrap()), "{error}");
    assert_eq!(error.message().matches(" install ").count(), 1, "{error}");

    let mut command = Helper::command("project");
    command.env("DIR", project.lavoro()).env("LAVORO_PG_BIN", &project.0);
    let report = Helper::once(&mut command);
    assert!(report.starts_with("error postgres_not_found"), "{report}");
    assert!(report.contains("LAVORO_PG_BIN"), "{report}");
}

#[test]
fn the_project_is_found_from_below() {
    let project = Project::new();
    let below = project.0.join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    assert_eq!(find_project_dir(&below), below.join(".lavoro"));
    std::fs::create_dir(project.lavoro()).unwrap();
    assert_eq!(find_project_dir(&below), project.lavoro());
}

/// A copy of this program that every user can run.
struct PublicCopy(Project);

impl PublicCopy {
    fn new() -> Self {
        let project = Project::new();
        let program = project.0.join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
        Self(project)
    }

    fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(self.0.0.join("test"));
        command.args(["--exact", "helper", "--nocapture", "--test-threads=1"]).env(HELPER, mode);
        command.current_dir("/");
        command
    }
}

fn nobody() -> User {
    User::from_name("nobody").unwrap().unwrap()
}

#[test]
fn a_user_without_privileges_can_run_it_and_root_can_use_that() {
    if !Uid::effective().is_root() {
        return;
    }
    let (program, project, user) = (PublicCopy::new(), Project::new(), nobody());
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    std::os::unix::fs::chown(&project.0, Some(uid), Some(gid)).unwrap();
    let command = || {
        let mut command = program.command("project");
        command.env("DIR", project.lavoro()).uid(uid).gid(gid);
        command
    };
    let (helper, report) = Helper::start(&mut command());
    assert!(report.starts_with("owner") && report.contains(".lavoro/pg"), "{report}");

    // Root joins it, takes over, and keeps the server under the user that owns the data.
    let server = project.start();
    assert!(!server.is_owner());
    ask(&server, "create table kept as select 1 as answer");
    helper.stop();
    until("the take-over", || server.is_owner().then_some(()));
    assert_eq!(server.data_dir().metadata().unwrap().uid(), uid);
    let process = format!("/proc/{}", server.server_pid().unwrap());
    assert_eq!(Path::new(&process).metadata().unwrap().uid(), uid);
    assert_eq!(ask(&server, "select answer from kept"), ["1"]);

    // And the user gets it back.
    let (mut helper, report) = Helper::start(&mut command());
    assert!(report.starts_with("joined"), "{report}");
    server.stop().unwrap();
    until("the take-over", || helper.status().starts_with("owner").then_some(()));
    helper.stop();
}

#[test]
fn what_root_made_is_refused_to_others_with_a_reason() {
    if !Uid::effective().is_root() {
        return;
    }
    let (program, project, user) = (PublicCopy::new(), Project::new(), nobody());
    let server = project.start();
    assert!(!server.data_dir().starts_with(&project.0));
    server.stop().unwrap();
    std::fs::set_permissions(project.lavoro(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = program.command("project");
    command.env("DIR", project.lavoro()).uid(user.uid.as_raw()).gid(user.gid.as_raw());
    let report = Helper::once(&mut command);
    assert!(report.starts_with("error embedded_failed"), "{report}");
    assert!(report.contains("made by root"), "{report}");
}

#[test]
fn a_moved_project_keeps_its_data_and_a_copy_gets_its_own() {
    let project = Project::new();
    let server = project.start();
    ask(&server, "create table kept as select 1 as answer");
    let data_dir = server.data_dir().to_owned();
    server.stop().unwrap();

    let moved = Project::new();
    std::fs::rename(project.lavoro(), moved.lavoro()).unwrap();
    let server = moved.start();
    assert_eq!(ask(&server, "select answer from kept"), ["1"]);
    if Uid::effective().is_root() {
        assert_eq!(server.data_dir(), data_dir);
    }

    // Copied while it runs: with a lock that nobody holds, and a server that is not its own.
    let copy = Project::new();
    let status = Command::new("cp").arg("-a").arg(moved.lavoro()).arg(&copy.0).status();
    assert!(status.is_ok());
    let second = copy.start();
    assert!(second.is_owner());
    assert_ne!(second.data_dir(), server.data_dir());
    assert_eq!(ask(&second, "select 1"), ["1"]);
    assert_eq!(ask(&server, "select answer from kept"), ["1"]);
}

#[test]
fn npm_binaries_work() {
    let Some(bin_dir) = std::env::var_os("LAVORO_TEST_NPM_PG").map(PathBuf::from) else { return };
    let mut options = EmbeddedOptions::memory();
    options.bin_dir = Some(bin_dir.clone());
    let server = Embedded::start(options.clone()).unwrap();
    let version = find_binaries(Some(&bin_dir), Path::new("/")).unwrap().version;
    assert_eq!(ask(&server, "show server_version"), [version]);
    drop(server);
    if !Uid::effective().is_root() {
        return;
    }

    // From a directory that the server's user cannot enter, without links, as pnpm leaves it.
    let hidden = Project::new();
    let package = bin_dir.ancestors().nth(2).unwrap();
    let status = Command::new("cp").arg("-a").arg(package).arg(hidden.0.join("package")).status();
    assert!(status.unwrap().success());
    let native = hidden.0.join("package/native");
    for entry in std::fs::read_dir(native.join("lib")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::set_permissions(&hidden.0, PermissionsExt::from_mode(0o700)).unwrap();
    options.bin_dir = Some(native.join("bin"));
    let server = Embedded::start(options.clone()).unwrap();
    assert_eq!(ask(&server, "select 1"), ["1"]);
    let copy = find_binaries(options.bin_dir.as_deref(), Path::new("/")).unwrap().bin_dir;
    assert!(!copy.starts_with(&hidden.0));
    drop(server);
    std::fs::remove_dir_all(copy.ancestors().nth(3).unwrap()).unwrap();
}
