//! A project's server and the processes that share it.

use crate::support::{Helper, Project, ask, is_alive, pid_in, try_ask, until};

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use nix::unistd::{Pid, getsid};

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
