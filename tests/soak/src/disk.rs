//! A small disk of the run's own, so that filling it harms nobody.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    at: PathBuf,
    image: PathBuf,
    /// What it is, for the report.
    pub(crate) what: &'static str,
}

impl Disk {
    /// Mounts `megabytes` at a directory: an image file with ext4, so that fsync means something,
    /// or else memory.
    pub(crate) fn mount(at: &Path, image: &Path, megabytes: u64) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        std::fs::File::create(image)?.set_len(megabytes << 20)?;
        let made = run(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-F"]).arg(image))
            .and_then(|()| run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(at)));
        let what = match made {
            Ok(()) => "ext4 in a file",
            Err(error) => {
                eprintln!("no image of a disk ({error}): memory instead");
                let size = format!("size={megabytes}m");
                run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at))?;
                "tmpfs"
            }
        };
        Ok(Self { at: at.to_owned(), image: image.to_owned(), what })
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes all that is left.
    pub(crate) fn fill(&self) -> Result<()> {
        use std::io::Write as _;
        let left = nix::sys::statvfs::statvfs(&self.at)?;
        let bytes = left.blocks_available() * left.fragment_size();
        let _ = run(Command::new("fallocate").arg("-l").arg(bytes.to_string()).arg(self.filler()));
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.filler())?;
        let block = [0_u8; 4096];
        while file.write_all(&block).is_ok() {}
        Ok(())
    }

    pub(crate) fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(&self.at)) {
            eprintln!("{} stays mounted: {error}", self.at.display());
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {} {said}", output.status).into())
}
