//! Directories that other users may, or must not, enter.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use nix::unistd::Uid;

use super::spawn::Account;

/// Where root keeps data, because the server runs as a user that cannot enter the project.
pub(super) const SYSTEM_ROOT: &str = "/var/lib/lavoro";
/// How long a socket's directory may be: the limit is 103 bytes on macOS and 107 on Linux, of
/// which the socket's own name takes up to 16.
const SOCKET_DIR_LIMIT: usize = 85;

/// Makes a directory that only the server's user (and root) can enter, or checks that it is one.
pub(super) fn private_dir(dir: &Path, account: Option<&Account>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let mut meta = dir.symlink_metadata()?;
    if let Some(account) = account.filter(|_| meta.is_dir() && meta.uid() == 0) {
        lchown(dir, Some(account.uid), Some(account.gid))?;
        meta = dir.symlink_metadata()?;
    }
    // In a directory that all may write to, somebody else may have been here first.
    if !meta.is_dir() || meta.uid() != uid_of(account) || meta.mode() & 0o077 != 0 {
        let message = format!("{} exists and is not a private directory of ours", dir.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

/// Makes the directory of all data that root keeps. Unlike its children, others may enter it.
pub(super) fn make_system_root() -> io::Result<()> {
    match DirBuilder::new().create(SYSTEM_ROOT) {
        Ok(()) => std::fs::set_permissions(SYSTEM_ROOT, PermissionsExt::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the server's user can enter a directory that we can.
pub(super) fn can_enter(dir: &Path, account: Option<&Account>) -> bool {
    let Some(account) = account else { return true };
    dir.ancestors().all(|dir| {
        dir.metadata().is_ok_and(|meta| {
            let execute = if meta.uid() == account.uid {
                0o100
            } else if meta.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            meta.mode() & execute != 0
        })
    })
}

/// Whether a socket can be in `dir`: it must be short, and PostgreSQL takes a list of them.
pub(super) fn fits_socket(dir: &Path) -> bool {
    let bytes = dir.as_os_str().as_encoded_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b",'\"\\".contains(byte);
    dir.is_absolute() && bytes.len() <= SOCKET_DIR_LIMIT && bytes.iter().all(is_plain)
}

/// The user that the server runs as.
pub(super) fn uid_of(account: Option<&Account>) -> u32 {
    account.map_or_else(|| Uid::effective().as_raw(), |account| account.uid)
}

/// FNV-1a. The standard library's hash may differ between two programs of one project.
pub(super) fn hash(path: &Path) -> u64 {
    path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
