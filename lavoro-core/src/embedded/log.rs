//! The logs of servers and of their creation, in directories that belong to the server's user.
//! Root must not follow a link there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::{Error, ErrorKind};

/// How much of a log an error shows.
const TAIL_LINES: usize = 15;

/// Opens a log to append to.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path)
}

/// Appends to a file that exists.
pub(super) fn append(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path)?.write_all(content)
}

/// The last part of a log that was written after `begin`.
pub(super) fn text_since(path: &Path, begin: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
        let mut file = options.open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(begin.max(end.saturating_sub(16 << 10))))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Ok(text)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last lines of a text.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// An error that shows the end of a log.
pub(super) fn error(what: &str, log: &Path, begin: u64) -> Error {
    let text = text_since(log, begin);
    let (place, text) = (log.display(), tail(&text));
    Error::new(
        ErrorKind::EmbeddedFailed,
        format!("embedded PostgreSQL: {what}. The last lines of {place}:\n{text}"),
    )
}
