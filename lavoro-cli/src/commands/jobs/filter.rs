//! Which jobs a command is about.

use crate::exit::Result;
use crate::parse;
use chrono::{DateTime, Utc};
use clap::Args;
use lavoro_core::{JobFilter, JobState};

/// Which jobs: those to which every option applies.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which jobs")]
pub(super) struct FilterArgs {
    /// Only jobs in this state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(
        JobState::ALL.map(JobState::as_str)))]
    state: Option<String>,
    /// Only jobs of this task
    #[arg(long)]
    task: Option<String>,
    /// Only jobs of this queue
    #[arg(long)]
    queue: Option<String>,
    /// Only jobs with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only jobs enqueued at this time or later: RFC 3339, or how long ago, as in 2h
    #[arg(long, value_name = "TIME", value_parser = parse::ago)]
    since: Option<DateTime<Utc>>,
    /// Only jobs enqueued before this time: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME", value_parser = parse::ago)]
    until: Option<DateTime<Utc>>,
    /// Only jobs with this text in an error of theirs, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl FilterArgs {
    /// Whether no option is given.
    pub(super) fn is_empty(&self) -> bool {
        self.state.is_none()
            && self.task.is_none()
            && self.queue.is_none()
            && self.tag.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.error.is_none()
    }

    /// Whether a state is given.
    pub(super) fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// The filter.
    pub(super) fn filter(self) -> Result<JobFilter> {
        Ok(JobFilter {
            state: self.state.map(|state| state.parse()).transpose()?,
            task: self.task,
            queue: self.queue,
            tag: self.tag,
            created_after: self.since,
            created_before: self.until,
            error_contains: self.error,
            ..JobFilter::default()
        })
    }
}
