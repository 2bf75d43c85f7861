//! A server's data, its settings, and where its binaries are found.

use crate::support::{Helper, Project, PublicCopy, ask, is_alive, nobody, socket};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lavoro_core::ErrorKind;
use lavoro_core::embedded::{Embedded, EmbeddedOptions, find_binaries, find_project_dir};
use nix::unistd::Uid;

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
