//! What handlers say of their jobs: progress, log lines, checkpoints.

use super::Store;
use crate::error::Result;
use crate::job::JobId;
use crate::json::Json;
use crate::notes::{LogLine, Said, Speaker};
use sqlx::Row as _;
use std::time::Instant;
use uuid::Uuid;

/// How much room for numbers of lines the number of an attempt's log has.
const LINE_ROOM: i64 = 1024;

/// Which lines of a job's log to read. The default is the first 1000.
#[derive(Clone, Debug)]
pub struct LogFilter {
    /// Only lines after this one: the `id` of the last line of the page before.
    pub after: Option<i64>,
    /// How many at most. Default: 1000.
    pub limit: u32,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { after: None, limit: 1000 }
    }
}

impl Store {
    /// Writes the last words on the progress of jobs.
    pub(crate) async fn write_progress(&self, said: &[Said]) -> Result<()> {
        // Two attempts of one job may speak at once if one of them is stale: the later counts.
        let mut words: Vec<_> =
            said.iter().filter_map(|said| Some((said.speaker, said.progress.as_ref()?))).collect();
        words.sort_by_key(|(speaker, _)| (speaker.job, speaker.claimed_at));
        words.reverse();
        words.dedup_by_key(|(speaker, _)| speaker.job);
        if words.is_empty() {
            return Ok(());
        }
        let query = self
            .query(&self.sql.progress_write)
            .bind(words.iter().map(|(speaker, _)| speaker.job).collect::<Vec<_>>())
            .bind(words.iter().map(|(speaker, _)| speaker.token).collect::<Vec<_>>())
            .bind(words.iter().map(|(speaker, _)| speaker.claimed_at).collect::<Vec<_>>())
            .bind(words.iter().map(|(_, word)| age(word.at)).collect::<Vec<_>>())
            .bind(words.iter().map(|(_, word)| word.percent).collect::<Vec<_>>())
            .bind(words.iter().map(|(_, word)| word.message.clone()).collect::<Vec<_>>())
            .bind(words.iter().map(|(_, word)| text(word.data.as_ref())).collect::<Vec<_>>());
        self.execute(query).await
    }

    /// Writes lines into the logs of jobs. Lines that are there already stay as they are.
    pub(crate) async fn write_lines(&self, said: &[Said]) -> Result<()> {
        let lines: Vec<_> = said
            .iter()
            .flat_map(|said| said.lines.iter().map(|line| (said.speaker, line)))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let attempts = lines.iter().map(|(s, _)| i16::try_from(s.attempt).unwrap_or(i16::MAX));
        // The place of a line in its job's log: when the attempt began, then which line it is.
        let ids = lines.iter().map(|(speaker, line)| {
            speaker.claimed_at.timestamp_micros() * LINE_ROOM + i64::from(line.number)
        });
        let query = self
            .query(&self.sql.log_write)
            .bind(lines.iter().map(|(speaker, _)| speaker.job).collect::<Vec<_>>())
            .bind(lines.iter().map(|(speaker, _)| speaker.token).collect::<Vec<_>>())
            .bind(lines.iter().map(|(speaker, _)| speaker.claimed_at).collect::<Vec<_>>())
            .bind(attempts.collect::<Vec<_>>())
            .bind(ids.collect::<Vec<_>>())
            .bind(lines.iter().map(|(_, line)| age(line.at)).collect::<Vec<_>>())
            .bind(lines.iter().map(|(_, line)| line.text.clone()).collect::<Vec<_>>());
        self.execute(query).await
    }

    /// Lines of a job's log, oldest first.
    pub(crate) async fn log_lines(&self, job: JobId, filter: &LogFilter) -> Result<Vec<LogLine>> {
        let query = self
            .query(&self.sql.log_list)
            .bind(job)
            .bind(filter.after.unwrap_or(i64::MIN))
            .bind(i64::from(filter.limit));
        let rows = self.fetch_all(query).await?;
        let line = |row: &sqlx::postgres::PgRow| LogLine {
            id: row.get("id"),
            logged_at: row.get("logged_at"),
            attempt: row.get::<i16, _>("attempt").unsigned_abs().into(),
            line: row.get("line"),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// Saves checkpoints, of each job one. Answers the jobs whose lease stands: the others'
    /// are not saved.
    pub(crate) async fn save_checkpoints(&self, saves: &[(Speaker, &Json)]) -> Result<Vec<JobId>> {
        let mut leases: Vec<Uuid> = saves.iter().map(|(speaker, _)| speaker.token).collect();
        leases.sort_unstable();
        leases.dedup();
        let query = self
            .query(&self.sql.checkpoint_save)
            .bind(saves.iter().map(|(speaker, _)| speaker.job).collect::<Vec<_>>())
            .bind(saves.iter().map(|(speaker, _)| speaker.token).collect::<Vec<_>>())
            .bind(saves.iter().map(|(_, data)| data.as_str().to_owned()).collect::<Vec<_>>())
            .bind(leases);
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("job_id")).collect())
    }

    /// The checkpoint of a job as JSON text, if there is one.
    pub(crate) async fn checkpoint(&self, job: JobId) -> Result<Option<String>> {
        let query = self.query(&self.sql.checkpoint_load).bind(job);
        let rows = self.fetch_all(query).await?;
        Ok(rows.first().map(|row| row.get("data")))
    }
}

fn age(at: Instant) -> i64 {
    i64::try_from(at.elapsed().as_micros()).unwrap_or(i64::MAX)
}

fn text(json: Option<&Json>) -> Option<String> {
    json.map(|json| json.as_str().to_owned())
}
