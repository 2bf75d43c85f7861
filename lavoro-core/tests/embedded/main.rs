//! The embedded PostgreSQL, for real: with the binaries of this machine, and with processes that
//! are killed. `LAVORO_TEST_NPM_PG` may name the `native/bin` of an npm package to test as well.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod crashes;
mod memory;
mod server;
mod sharing;
mod support;
mod users;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use support::{HELPER, try_ask, until};

use lavoro_core::embedded::{Embedded, EmbeddedOptions};

/// The code of the error of a server that starts or goes down.
const CANNOT_CONNECT_NOW: &str = "C57P03";

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
        // A server that is going down has told so, and its successor is on its way.
        let answer = until("a server that takes questions", || {
            let answer = try_ask(&server, "select current_setting('data_directory')");
            let is_going = answer.as_ref().is_err_and(|error| error.contains(CANNOT_CONNECT_NOW));
            (!is_going).then_some(answer)
        });
        let role = if server.is_owner() { "owner" } else { "joined" };
        println!("@@ {role} {} {answer:?}", server.server_pid().unwrap_or_default());
    };
    report();
    for _ in std::io::stdin().lines() {
        report();
    }
    server.stop().unwrap();
}
