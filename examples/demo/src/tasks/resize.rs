//! `resize_image`: three smaller versions of a photograph.

use crate::Result;
use crate::output::{directory, stem, write_whole};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use lavoro_core::{Job, NewJob};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The task's name.
pub(crate) const TASK: &str = "resize_image";
/// Its queue.
pub(crate) const QUEUE: &str = "images";
/// The longest side of each version, in pixels; a small photograph is not enlarged.
pub(crate) const SIDES: [u32; 3] = [1600, 640, 160];

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    photograph: PathBuf,
}

/// What the handler made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resized {
    /// The files, largest first.
    pub(crate) files: Vec<PathBuf>,
    /// How many bytes they have together.
    pub(crate) bytes: u64,
}

/// A job for one photograph. Its key keeps it from waiting twice when an album is retried.
pub(crate) fn job(photograph: &Path) -> NewJob {
    NewJob::new(TASK, Payload { photograph: photograph.to_owned() })
        .queue(QUEUE)
        .unique_key(stem(photograph))
}

/// Where a version goes.
pub(crate) fn target(photograph: &Path, side: u32) -> PathBuf {
    directory("images").join(format!("{}-{side}.jpg", stem(photograph)))
}

/// The handler. It blocks its thread, as work on pixels does.
#[allow(clippy::needless_pass_by_value, reason = "a handler is given its job")]
pub(crate) fn run(job: Job) -> Result<Resized> {
    let Payload { photograph } = job.payload()?;
    let original = image::ImageReader::open(&photograph)?.decode()?;
    let mut resized = Resized { files: Vec::new(), bytes: 0 };
    for side in SIDES {
        if let Some(reason) = job.stop_reason() {
            return Err(format!("told to stop: {reason:?}").into());
        }
        let longest = side.min(original.width().max(original.height()));
        let version = original.resize(longest, longest, FilterType::Lanczos3);
        let path = target(&photograph, side);
        resized.bytes += write_whole(&path, |file| {
            Ok(version.write_with_encoder(JpegEncoder::new_with_quality(file, 85))?)
        })?;
        resized.files.push(path);
    }
    Ok(resized)
}
