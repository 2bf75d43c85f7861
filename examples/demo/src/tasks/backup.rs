//! `make_backup`: a compressed copy of a file, and the checksum of what is in it.

use crate::Result;
use crate::output::{directory, write_whole};
use flate2::Compression;
use flate2::write::GzEncoder;
use lavoro_core::{Job, NewJob};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The task's name.
pub(crate) const TASK: &str = "make_backup";
/// Its queue.
pub(crate) const QUEUE: &str = "backups";

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    source: PathBuf,
}

/// What the handler made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    /// The compressed file.
    pub(crate) file: PathBuf,
    /// The SHA-256 of the content before compression.
    pub(crate) sha256: String,
    /// How many bytes the content has.
    pub(crate) bytes: u64,
    /// How many are left of them.
    pub(crate) compressed: u64,
}

/// A job for one file.
pub(crate) fn job(source: &Path) -> NewJob {
    NewJob::new(TASK, Payload { source: source.to_owned() }).queue(QUEUE)
}

/// Where the backup goes.
pub(crate) fn target(source: &Path) -> PathBuf {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    directory("backups").join(format!("{name}.gz"))
}

/// The handler.
#[allow(clippy::needless_pass_by_value, reason = "a handler is given its job")]
pub(crate) fn run(job: Job) -> Result<Backup> {
    let Payload { source } = job.payload()?;
    let file = target(&source);
    let (mut sha256, mut bytes) = (String::new(), 0);
    let compressed = write_whole(&file, |file| {
        let mut encoder = GzEncoder::new(file, Compression::best());
        (sha256, bytes) = digest(File::open(&source)?, &mut encoder)?;
        encoder.finish()?;
        Ok(())
    })?;
    Ok(Backup { file, sha256, bytes, compressed })
}

/// Copies everything, and answers its SHA-256 and length.
pub(crate) fn digest(mut from: impl Read, to: &mut impl Write) -> Result<(String, u64)> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        to.write_all(part)?;
        bytes += part.len() as u64;
    }
    let hex = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    });
    Ok((hex, bytes))
}
