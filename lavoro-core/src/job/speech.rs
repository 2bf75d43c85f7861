//! What a handler says of its job while it works, and what it leaves for the next attempt.

use super::Job;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, sanitise_text};
use crate::limits;
use crate::notes::{ProgressUpdate, Word};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Instant;

impl Job {
    /// Says how far the job has come: `percent` from 0 to 100, and a message for people (at most
    /// 16 KiB; a longer one loses its middle; none if it is empty).
    ///
    /// Never waits: the worker writes it within milliseconds, where the view `lavoro.jobs` and
    /// [`JobInfo::progress`](crate::JobInfo::progress) show it. Only the last word counts; one
    /// of an attempt that is not the job's current one any more is dropped.
    ///
    /// # Errors
    /// `invalid_option` if the percentage is outside of its range.
    pub fn progress(&self, percent: f32, message: &str) -> Result<()> {
        self.progress_json(Some(percent), Some(message), None)
    }

    /// As [`progress`](Self::progress), with data for programs, or with less.
    ///
    /// # Errors
    /// `invalid_option`; what is wrong with the data (`payload_too_large`, …).
    pub fn progress_with(&self, update: ProgressUpdate) -> Result<()> {
        let ProgressUpdate { percent, message, data } = update;
        let data = data.map(|data| Json::serialize(DATA, &data, limits::PROGRESS_DATA_BYTES));
        self.say(percent, message.as_deref(), data.transpose()?)
    }

    /// As [`progress_with`](Self::progress_with), with the data as JSON text.
    ///
    /// # Errors
    /// As [`progress_with`](Self::progress_with).
    pub fn progress_json(
        &self,
        percent: Option<f32>,
        message: Option<&str>,
        data: Option<&str>,
    ) -> Result<()> {
        let data = data.map(|text| Json::parse(DATA, text.as_bytes(), limits::PROGRESS_DATA_BYTES));
        self.say(percent, message, data.transpose()?)
    }

    fn say(&self, percent: Option<f32>, message: Option<&str>, data: Option<Json>) -> Result<()> {
        if let Some(percent) = &percent {
            limits::check_range("percent", percent, &(0.0..=100.0))?;
        }
        let message = message.filter(|message| !message.is_empty());
        let message = message.map(|message| sanitise_text(message, limits::PROGRESS_BYTES));
        if let Some(listener) = &self.listener {
            listener.progressed(&self.ticket, percent, message.as_deref());
        }
        self.notes.progress(Word { at: Instant::now(), percent, message, data });
        Ok(())
    }

    /// Adds a line to the job's log, which [`JobHandle::logs`](crate::JobHandle::logs) reads;
    /// a text of several lines adds each of them. Never waits, and cannot fail.
    ///
    /// One attempt may write 1000 lines of 4 KiB. A longer line loses its middle; what comes
    /// after the last is left out, and a line says so.
    pub fn log(&self, line: impl AsRef<str>) {
        self.notes.log(line.as_ref());
    }

    /// Saves what the next attempt needs to go on from here; it replaces what was saved before.
    /// At most 1 MiB as JSON.
    ///
    /// When this returns, the checkpoint is committed. It outlives failures, snoozes and lost
    /// workers, and is deleted with the job. While the database cannot be reached it is tried
    /// again for 30 seconds. If the future is dropped, it may or may not be saved.
    ///
    /// # Errors
    /// `stale_lease` if this attempt is not the job's current one any more: nothing was saved,
    /// and the handler should stop. What is wrong with the value or with the database; `closed`
    /// after the worker's end.
    pub async fn save_checkpoint(&self, value: &(impl Serialize + Sync + ?Sized)) -> Result<()> {
        let data = Json::serialize(CHECKPOINT, &value, limits::CHECKPOINT_BYTES)?;
        self.notes.save(data).await
    }

    /// As [`save_checkpoint`](Self::save_checkpoint), as JSON text.
    ///
    /// # Errors
    /// As [`save_checkpoint`](Self::save_checkpoint).
    pub async fn save_checkpoint_json(&self, json: &str) -> Result<()> {
        let data = Json::parse(CHECKPOINT, json.as_bytes(), limits::CHECKPOINT_BYTES)?;
        self.notes.save(data).await
    }

    /// What was saved last for this job, by this attempt or one before it. Asks the database
    /// at every call.
    ///
    /// # Errors
    /// `invalid_payload` if it does not have the shape of `T`; what is wrong with the database;
    /// `closed` after the worker's end.
    pub async fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Some(json) = self.checkpoint_json().await? else { return Ok(None) };
        serde_json::from_str(&json).map(Some).map_err(|error| {
            let message = format!("the checkpoint of job {} does not fit: {error}", self.id());
            Error::new(ErrorKind::InvalidPayload, message).with_source(error)
        })
    }

    /// As [`checkpoint`](Self::checkpoint), as JSON text.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), but for the shape.
    pub async fn checkpoint_json(&self) -> Result<Option<String>> {
        self.notes.load().await
    }
}

const DATA: &str = "data of the progress";
const CHECKPOINT: &str = "checkpoint";
