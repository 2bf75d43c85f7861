//! `lavoro schedules add`.

use super::show;
use crate::exit::Result;
use crate::output::Output;
use crate::parse;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use lavoro_core::{
    DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Lavoro, Missed, NewJob, OnLost, Overlap, Schedule,
};
use std::time::Duration;

/// A schedule.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro schedules add nightly --task report --cron '0 3 * * *' --tz Europe/Rome
  lavoro schedules add pulse --task ping --every '30 seconds' --overlap allow
  lavoro schedules add digest --task mail --every week --on monday --at 09:30 --payload '{\"n\": 1}'
  lavoro schedules add nightly --task report --every day --at 04:00 --replace

--cron takes five fields, or six that begin with seconds, with L, LW, 15W, 1#2 and @daily.
--every takes a span (90s, 15m, 6h, 2d) or words: five minutes, day, week, sunday, month,
last day of month.")]
pub(crate) struct AddArgs {
    /// The schedule's name
    name: String,
    /// The task of its jobs
    #[arg(long)]
    task: String,
    /// When, as a cron expression
    #[arg(long, value_name = "EXPR", required_unless_present_any = ["every", "at"],
          conflicts_with_all = ["every", "at", "on"])]
    cron: Option<String>,
    /// How often
    #[arg(long, value_name = "INTERVAL")]
    every: Option<String>,
    /// At this time of the day: 09:30
    #[arg(long, value_name = "HH:MM")]
    at: Option<String>,
    /// On this day of the week, or the first such day of the month
    #[arg(long, value_name = "WEEKDAY")]
    on: Option<String>,
    /// The time zone that times of day are meant in
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// The jobs' payload as JSON
    #[arg(long, value_name = "JSON", default_value = "{}", allow_negative_numbers = true)]
    payload: String,
    /// The jobs' queue
    #[arg(long, default_value = DEFAULT_QUEUE)]
    queue: String,
    /// Larger runs first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// How often a job is tried before it is discarded
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_ATTEMPTS)]
    max_attempts: u32,
    /// How long one attempt may take: 30s, 5m, … [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    timeout: Option<Duration>,
    /// How long a job may wait before it expires: 30s, 5m, … [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    expires_in: Option<Duration>,
    /// The task of a follow-up job if a job is discarded
    #[arg(long, value_name = "TASK")]
    on_discarded: Option<String>,
    /// A label of its jobs; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// No slot is sooner than this instant, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    start: Option<DateTime<Utc>>,
    /// This instant and what is later is no slot
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    end: Option<DateTime<Utc>>,
    /// Spread jobs over this long after their slots
    #[arg(long, value_name = "SPAN", value_parser = parse::duration, default_value = "0")]
    jitter: Duration,
    /// What becomes of slots that passed while nobody was running
    #[arg(long, value_enum, default_value_t = MissedArg::Latest)]
    missed: MissedArg,
    /// How late a missed slot may fire
    #[arg(long, value_name = "SPAN", value_parser = parse::duration, default_value = "1d")]
    missed_within: Duration,
    /// How many missed slots fire at most, with --missed all
    #[arg(long, value_name = "N", default_value_t = 100)]
    missed_limit: u32,
    /// What becomes of a slot while the latest run has not ended: skip, queue, allow
    #[arg(long, default_value = "skip")]
    overlap: Overlap,
    /// What becomes of a run whose worker was lost
    #[arg(long, value_enum, default_value_t = OnLostArg::Retry)]
    on_lost: OnLostArg,
    /// Change the schedule if there is one of this name
    #[arg(long)]
    replace: bool,
}

/// The names of [`Missed`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MissedArg {
    Skip,
    Latest,
    All,
}

/// The names of [`OnLost`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnLostArg {
    Retry,
    Hold,
}

impl AddArgs {
    fn schedule(self) -> Schedule {
        let mut job = NewJob::from_json(self.task, self.payload)
            .queue(self.queue)
            .priority(self.priority)
            .max_attempts(self.max_attempts)
            .tags(self.tags);
        if let Some(timeout) = self.timeout {
            job = job.timeout(timeout);
        }
        if let Some(lifetime) = self.expires_in {
            job = job.expires_in(lifetime);
        }
        if let Some(task) = self.on_discarded {
            job = job.on_discarded(task);
        }
        let within = self.missed_within;
        let mut schedule = Schedule::new(self.name, job)
            .time_zone(self.tz)
            .jitter(self.jitter)
            .overlap(self.overlap)
            .missed(match self.missed {
                MissedArg::Skip => Missed::Skip,
                MissedArg::Latest => Missed::Latest { within },
                MissedArg::All => Missed::All { within, limit: self.missed_limit },
            })
            .on_lost(match self.on_lost {
                OnLostArg::Retry => OnLost::Retry,
                OnLostArg::Hold => OnLost::Hold,
            });
        if let Some(cron) = self.cron {
            schedule = schedule.cron(cron);
        }
        if let Some(every) = self.every {
            schedule = schedule.every(every);
        }
        if let Some(at) = self.at {
            schedule = schedule.at(at);
        }
        if let Some(on) = self.on {
            schedule = schedule.on(on);
        }
        if let Some(start) = self.start {
            schedule = schedule.start(start);
        }
        if let Some(end) = self.end {
            schedule = schedule.end(end);
        }
        schedule
    }
}

/// Makes the schedule and shows when it will fire.
pub(super) async fn run(lavoro: &Lavoro, args: AddArgs, output: Output) -> Result<()> {
    let (name, replace) = (args.name.clone(), args.replace);
    let schedule = args.schedule();
    if replace {
        lavoro.replace_schedule(schedule).await?;
    } else {
        lavoro.add_schedule(schedule).await?;
    }
    let made = lavoro.schedule(&name).await?;
    output.print(&made, || show::table(std::slice::from_ref(&made)))
}
