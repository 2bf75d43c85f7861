//! The demo runs to its end, loses nothing, and says which worker it killed.

use std::process::Command;

#[test]
fn nothing_is_lost_although_a_worker_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_lavoro-demo"))
        .arg("--quick")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}\n{said}\n{complained}", done.status);
    assert!(said.contains(", lost 0\n"), "{said}");
    assert!(said.contains("by SIGKILL, while it ran job"), "{said}");
    assert!(said.contains("rescued    job "), "{said}");
    assert!(!said.contains('\u{1b}'), "escape codes in a pipe: {said}");
}

#[test]
fn an_unknown_argument_is_refused() {
    let done = Command::new(env!("CARGO_BIN_EXE_lavoro-demo")).arg("--slow").output().unwrap();
    assert_eq!(done.status.code(), Some(2));
}
