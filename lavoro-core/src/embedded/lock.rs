//! Who owns a server: a lock that ends with its process, and the address for those who join.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

/// The name of the lock in a project's or throw-away server's directory.
pub(super) const LOCK: &str = "lock";
/// The name of the file that says where the server is.
const STATE: &str = "server.json";

/// The mode of our files, whatever the umask: root's must be readable for a user who owns the
/// directory. Who may enter that is decided there.
const READABLE: u32 = 0o644;

/// An exclusive lock on a file. The kernel releases it when the process ends, however it ends.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, unless another holds it.
    pub(super) fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = Self::open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Fails unless the file is ours, and then it is for its owner to do.
            let _ = file.set_permissions(Permissions::from_mode(READABLE));
            let lock = Self { file, path: path.to_owned() };
            // Between open and lock, a holder may have removed the file together with its
            // directory: a lock on that one would keep nobody out.
            if lock.is_current() {
                return Ok(Some(lock));
            }
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).mode(READABLE);
        match options.clone().write(true).create(true).truncate(false).open(path) {
            // Root may have made it, in a directory of ours. Reading is enough for a lock.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(path),
            result => result,
        }
    }

    /// Whether the locked file is still the one that others would find.
    pub(super) fn is_current(&self) -> bool {
        match (self.file.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(held), Ok(found)) => held.dev() == found.dev() && held.ino() == found.ino(),
            _ => false,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do if the process has forked: the copy would go on holding it. An
        // error leaves nothing to do.
        let _ = self.file.unlock();
    }
}

/// What another process needs to use the server, and to start it again in the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) socket_dir: PathBuf,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) data_dir: PathBuf,
    pub(super) bin_dir: PathBuf,
    pub(super) server_pid: u32,
}

impl State {
    /// Reads the state of the server in `dir`. One that is missing or not ours counts as none.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let text = std::fs::read(dir.join(STATE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Publishes the state. Only the holder of the lock may, once the server accepts connections.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        write_file(&dir.join(STATE), &serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// Withdraws the state. Only the holder of the lock may.
    pub(super) fn remove(dir: &Path) -> io::Result<()> {
        match std::fs::remove_file(dir.join(STATE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The path of the socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Whether somebody accepts connections there. An error means that we may not ask.
    pub(super) fn is_reachable(&self) -> io::Result<bool> {
        match UnixStream::connect(self.socket()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// Writes a file so that nobody ever reads half of it, and without following a link that somebody
/// may have put in its place. Returns the file, to be given to its reader.
pub(super) fn write_file(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(READABLE).open(&temporary)?;
    file.set_permissions(Permissions::from_mode(READABLE))?;
    file.write_all(content)?;
    std::fs::rename(&temporary, path)?;
    Ok(file)
}
