//! Throw-away servers.

use crate::support::{Helper, ask, is_alive, pid_in, until};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use lavoro_core::embedded::{Embedded, EmbeddedOptions};

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
