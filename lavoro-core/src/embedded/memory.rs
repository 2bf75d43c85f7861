//! The directories of throw-away servers.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::dirs::{SYSTEM_ROOT, can_enter, fits_socket, make_system_root, private_dir, uid_of};
use super::lock::{LOCK, Lock};
use super::place::{Place, existing};
use super::spawn::{Account, is_root};
use super::{failed, orphan};
use crate::error::Result;

/// The start of the directories' names.
const MEMORY: &str = "lavoro-memory-";

/// The place of a throw-away server: a new directory, and the lock that tells it from one
/// whose process was killed.
pub(super) fn make() -> Result<(Place, Lock)> {
    let account = Account::for_new()?;
    let uid = uid_of(account.as_ref());
    let mut problem = io::Error::other("no directory is short enough and open to the server");
    for base in throw_away_bases() {
        if base == Path::new(SYSTEM_ROOT)
            && let Err(error) = make_system_root()
        {
            problem = error;
            continue;
        }
        sweep(&base, uid);
        let dir = base.join(format!("{MEMORY}{uid}-{:012x}", rand::random::<u64>() >> 16));
        if !fits_socket(&dir) || !can_enter(&base, account.as_ref()) {
            continue;
        }
        match make_throw_away(&dir, account.as_ref()) {
            Ok(Some(lock)) => {
                let socket_dirs = vec![dir.clone()];
                let (root, data_root) = (dir.clone(), dir);
                return Ok((Place { root, data_root, account, socket_dirs }, lock));
            }
            // Somebody's sweep took the directory before the lock was ours.
            Ok(None) => problem = io::Error::other("a new directory was swept away"),
            Err(error) => problem = error,
        }
    }
    Err(failed("make a directory in", &std::env::temp_dir(), problem))
}

/// Where throw-away directories may go, best first.
fn throw_away_bases() -> Vec<PathBuf> {
    let mut bases = vec![std::env::temp_dir(), PathBuf::from("/tmp")];
    bases.dedup();
    if is_root() {
        bases.push(PathBuf::from(SYSTEM_ROOT));
    }
    bases
}

/// Makes a throw-away directory, and locks it before its owner can be taken for dead.
fn make_throw_away(dir: &Path, account: Option<&Account>) -> io::Result<Option<Lock>> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let lock = match Lock::try_acquire(&dir.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if lock.is_some() {
        private_dir(dir, account)?;
    }
    Ok(lock)
}

/// Removes throw-away directories in `base` that no process holds any more.
fn sweep(base: &Path, uid: u32) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let dir = entry.path();
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(MEMORY.as_bytes())
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == uid);
        // What cannot be swept now is left for the next start.
        let Some(_lock) =
            is_ours.then(|| Lock::try_acquire(&dir.join(LOCK)).ok()).flatten().flatten()
        else {
            continue;
        };
        let deadline = Instant::now() + Duration::from_secs(2);
        // Links would not be ours.
        let is_dir = |path: &PathBuf| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let mut data_dirs = existing(&dir).into_iter().map(|(_, path)| path).filter(is_dir);
        if data_dirs.all(|data| orphan::settle(&data, Signal::SIGQUIT, deadline)) {
            tracing::debug!(dir = %dir.display(), "removing what a killed process left");
            let _ = std::fs::remove_dir_all(&dir);
        }
    }
}
