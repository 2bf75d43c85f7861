//! Where things are, and how a handler writes a file that may be written twice.

use crate::Result;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Everything that the demo writes, relative to the current directory.
pub(crate) const ROOT: &str = "demo-output";

/// A directory below [`ROOT`].
pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// Removes what an earlier run has left, and makes the directories.
pub(crate) fn prepare() -> Result<()> {
    match std::fs::remove_dir_all(ROOT) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot remove {ROOT}: {error}").into());
        }
        _ => {}
    }
    for name in ["input", "images", "reports", "backups", "mail", "logs", "tmp"] {
        let path = directory(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all: under a temporary name, then renamed.
///
/// This is what makes a handler safe to run twice: a killed attempt leaves nothing under the
/// final name, and a second one replaces the file by the same content.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>,
) -> Result<u64> {
    // Readable by all that the user's umask lets read it, like any other file.
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory("tmp"))?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.as_file().sync_all()?;
    let bytes = file.as_file().metadata()?.len();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    file.persist(path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(bytes)
}

/// The paths in a directory, sorted.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(directory)
        .map_err(|error| format!("cannot list {}: {error}", directory.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// The name of a file without directory and ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
