//! Where a server's data, sockets and lock live, and which user may enter there.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::dirs::{SYSTEM_ROOT, fits_socket, hash, make_system_root, private_dir, uid_of};
use super::failed;
use super::lock::write_file;
use super::spawn::{Account, is_root};
use crate::error::{Error, ErrorKind, Result};

/// The file in `.lavoro` that says where root put the data.
const LOCATION: &str = "location";
/// The file next to such data that says which project it belongs to.
const PROJECT: &str = "project";

/// The directories of one server.
pub(super) struct Place {
    /// Holds the lock and, for a project, the published state.
    pub(super) root: PathBuf,
    /// Holds the data directories, one for each major version.
    pub(super) data_root: PathBuf,
    /// The user to run as, if we are root.
    pub(super) account: Option<Account>,
    /// Where the socket may go, best first.
    pub(super) socket_dirs: Vec<PathBuf>,
}

impl Place {
    /// The place of a persistent server, with nothing made yet but the `.lavoro` directory.
    pub(super) fn project(dir: &Path) -> Result<Self> {
        let root = open_project(dir).map_err(|error| failed("open", dir, error))?;
        if root.to_str().is_none() {
            return Err(Error::new(
                ErrorKind::InvalidOption,
                format!("the path {} is not UTF-8; use another directory", root.display()),
            ));
        }
        let owner = existing(&root).first().and_then(|(_, path)| path.metadata().ok());
        let mut socket_dirs = Vec::new();
        let (data_root, account) = match owner {
            Some(owner) if !is_root() || owner.uid() != 0 => {
                let account = is_root().then(|| Account::of_owner(owner.uid(), owner.gid()));
                (root.clone(), account)
            }
            _ if is_root() => {
                let data_root = system_root(&root);
                socket_dirs.push(data_root.join("run"));
                (data_root, Account::for_new()?)
            }
            _ => match recorded(&root) {
                Some(location) => return Err(made_by_root(&root, &location)),
                None => (root.clone(), None),
            },
        };
        let uid = uid_of(account.as_ref());
        let name = format!("lavoro-{uid}-{:016x}", hash(&root));
        // /tmp first: TMPDIR may differ between the processes of one project, and a server that
        // is taken over should be found at its old address.
        let temporary = [PathBuf::from("/tmp"), std::env::temp_dir()];
        socket_dirs.extend(temporary.iter().map(|dir| dir.join(&name)));
        socket_dirs.push(root.join("run"));
        Ok(Self { root, data_root, account, socket_dirs })
    }

    /// Makes what a server needs before it can start, and chooses the socket's directory: that
    /// of an earlier server if it can be had. Only the holder of the lock may.
    pub(super) fn prepare(&self, earlier: Option<&Path>) -> Result<PathBuf> {
        if self.data_root.starts_with(SYSTEM_ROOT) {
            self.prepare_system_root().map_err(|error| failed("make", &self.data_root, error))?;
        }
        let mut problem = io::Error::other("every path is too long for a socket");
        for dir in earlier.into_iter().chain(self.socket_dirs.iter().map(PathBuf::as_path)) {
            if !fits_socket(dir) {
                continue;
            }
            match private_dir(dir, self.account.as_ref()) {
                Ok(()) => return Ok(dir.to_owned()),
                Err(error) => problem = error,
            }
        }
        Err(failed("make a directory for the socket of", &self.root, problem))
    }

    /// The major versions there is data of.
    pub(super) fn majors(&self) -> Vec<u32> {
        existing(&self.data_root).into_iter().map(|(major, _)| major).collect()
    }

    fn prepare_system_root(&self) -> io::Result<()> {
        make_system_root()?;
        private_dir(&self.data_root, self.account.as_ref())?;
        if self.data_root.parent() == Some(Path::new(SYSTEM_ROOT)) && self.root != self.data_root {
            write_file(&self.data_root.join(PROJECT), self.root.as_os_str().as_encoded_bytes())?;
            let location = self.data_root.as_os_str().as_encoded_bytes();
            write_file(&self.root.join(LOCATION), location)?;
        }
        Ok(())
    }
}

/// Makes a `.lavoro` directory, which git ignores.
fn open_project(dir: &Path) -> io::Result<PathBuf> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => std::fs::write(dir.join(".gitignore"), "*\n")?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    dir.canonicalize()
}

/// The data directories in `dir`, newest major version first.
pub(super) fn existing(dir: &Path) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.strip_prefix("pg")?.parse().ok()?;
            Some((major, entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Where root's data for this project is, or will be.
fn system_root(root: &Path) -> PathBuf {
    let fresh = || {
        let project = root.parent().and_then(Path::file_name).unwrap_or_default();
        let mut name: String = project
            .to_string_lossy()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .take(20)
            .collect();
        if name.is_empty() {
            name.push_str("project");
        }
        Path::new(SYSTEM_ROOT).join(format!("{name}-{:016x}", hash(root)))
    };
    recorded(root).filter(|data_root| belongs(data_root, root)).unwrap_or_else(fresh)
}

/// Whether data that a project's `location` names is really that project's: a project that was
/// moved keeps it, a copy of a project gets its own.
fn belongs(data_root: &Path, root: &Path) -> bool {
    let Ok(project) = std::fs::read_to_string(data_root.join(PROJECT)) else { return false };
    match (Path::new(&project).metadata(), root.metadata()) {
        (Ok(theirs), Ok(ours)) => theirs.dev() == ours.dev() && theirs.ino() == ours.ino(),
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    }
}

/// What a project's `location` names.
fn recorded(root: &Path) -> Option<PathBuf> {
    let location = PathBuf::from(std::fs::read_to_string(root.join(LOCATION)).ok()?);
    (location.parent() == Some(Path::new(SYSTEM_ROOT))).then_some(location)
}

fn made_by_root(root: &Path, location: &Path) -> Error {
    Error::new(
        ErrorKind::EmbeddedFailed,
        format!(
            "the embedded PostgreSQL of {} was made by root and keeps its data in {}; run as \
             root, or delete {} to begin with an empty database",
            root.display(),
            location.display(),
            root.join(LOCATION).display()
        ),
    )
}
