//! What is left when processes and servers are killed.

use crate::support::{Helper, Project, ask, is_alive, pid_in, send, try_ask, until};
use std::process::Command;

use nix::sys::signal::Signal;

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
