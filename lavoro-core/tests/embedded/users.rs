//! Root, users without privileges, and directories that move.

use crate::support::{Helper, Project, PublicCopy, ask, nobody, until};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::Uid;

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
