//! What installations of PostgreSQL from packages may still need: links, and a place that the
//! server's user can enter.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::dirs::hash;

/// Where installations are copied to that only root can reach.
const CACHE: &str = "/var/cache/lavoro";
/// The parts of an installation, next to each other.
const PARTS: &[&str] = &["bin", "lib", "lib64", "share"];

/// How much a copy may take: an installation has tens of megabytes. A `bin` next to unrelated
/// things, such as `/root/.local`, is not one.
const LIMIT: u64 = 1 << 30;

/// A line of `pg-symlinks.json`: paths relative to the npm package.
#[derive(Deserialize)]
struct Link {
    /// The file that exists.
    source: PathBuf,
    /// The link to make, in the same directory.
    target: PathBuf,
}

/// Makes the links between shared libraries that npm packages cannot contain. Their own script
/// does the same, where package managers let it run.
pub(super) fn hydrate(bin_dir: &Path) -> io::Result<()> {
    let Some(native) = bin_dir.parent() else { return Ok(()) };
    let Some(package) = native.parent() else { return Ok(()) };
    let Ok(text) = std::fs::read(native.join("pg-symlinks.json")) else { return Ok(()) };
    for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&text)? {
        let inside = target.components().all(|part| matches!(part, Component::Normal(_)));
        let (true, Some(name)) = (inside && source.parent() == target.parent(), source.file_name())
        else {
            continue;
        };
        match symlink(name, package.join(&target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Copies an installation to where every user can run it, and returns the copy's directory of
/// programs. A copy that exists is used again as long as the original has not changed.
pub(super) fn copy(bin_dir: &Path) -> io::Result<PathBuf> {
    // The programs may be links into the real installation.
    let postgres = bin_dir.join("postgres").canonicalize()?;
    let meta = postgres.metadata()?;
    let (Some(bin), Some(root)) = (postgres.parent(), postgres.ancestors().nth(2)) else {
        return Err(io::Error::other("it is not an installation of PostgreSQL"));
    };
    if !root.join("share").is_dir() || !bin.ends_with("bin") {
        return Err(io::Error::other("it is not a whole installation of PostgreSQL"));
    }
    let modified = meta.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let key = format!("{}-{}-{}", root.display(), meta.len(), modified.as_nanos());
    let copy = Path::new(CACHE).join(format!("{:016x}", hash(Path::new(&key))));
    // Wheels of Python have libraries in a directory next to the package, found by its relative
    // path; so the copy keeps the names of both.
    let package = root.parent().unwrap_or(root);
    let libraries = package.with_added_extension("libs");
    let names = [package.file_name(), root.file_name(), bin.file_name()];
    let copied_bin = names.into_iter().flatten().fold(copy.clone(), |path, name| path.join(name));
    if copied_bin.join("postgres").exists() {
        return Ok(copied_bin);
    }

    make_dir(Path::new(CACHE))?;
    let unfinished = copy.with_extension(format!("{:08x}", rand::random::<u32>()));
    let mut left = LIMIT;
    let result = (|| {
        let new_root = names[..2]
            .iter()
            .flatten()
            .try_fold(unfinished.clone(), |path, name| make_dir(&path).map(|()| path.join(name)))?;
        make_dir(&new_root)?;
        for part in PARTS.iter().filter(|part| root.join(part).is_dir()) {
            copy_tree(&root.join(part), &new_root.join(part), &mut left)?;
        }
        if let Some(name) = libraries.file_name().filter(|_| libraries.is_dir()) {
            copy_tree(&libraries, &unfinished.join(name), &mut left)?;
        }
        match std::fs::rename(&unfinished, &copy) {
            // Another process was faster.
            Err(_) if copied_bin.join("postgres").exists() => Ok(()),
            result => result,
        }
    })();
    // Gone already, if all went well.
    let _ = std::fs::remove_dir_all(&unfinished);
    result.map(|()| copied_bin)
}

/// Copies a directory so that everybody can read it.
fn copy_tree(from: &Path, to: &Path, left: &mut u64) -> io::Result<()> {
    make_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target, left)?;
        } else if kind.is_symlink() {
            symlink(std::fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            let size = entry.metadata()?.len();
            *left = left.checked_sub(size).ok_or_else(|| io::Error::other("it is too large"))?;
            std::fs::copy(&source, &target)?;
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            let mode = if executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(&target, PermissionsExt::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Makes a directory that everybody can enter, whatever the umask.
fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Ok(()) => std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
