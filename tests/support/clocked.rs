//! A PostgreSQL of a test's own whose clock can be set.

use lavoro_core::embedded::{Embedded, EmbeddedOptions, find_binaries};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where Debian keeps libfaketime; `LAVORO_FAKETIME` names another place.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A throw-away server whose sessions look at its clock anew each second, so that for a moment some
/// of them see a jump and others do not.
#[derive(Debug)]
pub struct ClockedServer {
    server: Embedded,
    dir: TempDir,
}

impl ClockedServer {
    /// Starts one; blocks. `None` where there is no libfaketime.
    #[must_use]
    pub fn start() -> Option<Self> {
        let library =
            std::env::var_os("LAVORO_FAKETIME").map_or_else(|| FAKETIME.into(), PathBuf::from);
        if !library.exists() {
            return None;
        }
        let dir = tempfile::Builder::new().prefix("lavoro-clock-").tempdir().unwrap();
        // The server runs as another user where we are root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        set(dir.path(), 0);
        let real = find_binaries(None, dir.path()).unwrap().bin_dir;
        script(&dir.path().join("initdb"), &format!("exec {}/initdb \"$@\"", real.display()));
        script(
            &dir.path().join("postgres"),
            &format!(
                "export LD_PRELOAD={} FAKETIME_TIMESTAMP_FILE={} FAKETIME_CACHE_DURATION=1 \
                 FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {}/postgres \"$@\"",
                library.display(),
                clock(dir.path()).display(),
                real.display()
            ),
        );
        let mut options = EmbeddedOptions::memory();
        options.bin_dir = Some(dir.path().to_owned());
        options.settings = vec![("max_connections".into(), "500".into())];
        Some(Self { server: Embedded::start(options).unwrap(), dir })
    }

    /// The URL of its empty database `lavoro`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Sets its clock this many seconds ahead of ours.
    pub fn set(&self, seconds: i64) {
        set(self.dir.path(), seconds);
    }
}

fn clock(dir: &Path) -> PathBuf {
    dir.join("clock")
}

/// Nobody reads half a line.
fn set(dir: &Path, seconds: i64) {
    let fresh = dir.join("clock.new");
    fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
    fs::rename(fresh, clock(dir)).unwrap();
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
