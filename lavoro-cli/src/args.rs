//! What may be written on the command line.

use crate::commands::{
    bench, completions, dev, doctor, enqueue, jobs, locks, metrics, migrate, queues, retention,
    schedules, top, why, worker, workers,
};
use crate::exit;
use crate::globals::Globals;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  lavoro dev                                          a private PostgreSQL for this project
  lavoro worker --exec greet='jq -r .name'            run jobs with a shell command
  lavoro enqueue greet '{\"name\": \"Ada\"}' --wait       enqueue a job and wait for its result
  lavoro jobs list --state discarded                  see what has failed
  lavoro top                                          watch it work
  lavoro doctor                                       check the database

Without --database-url the database is the first of LAVORO_DATABASE_URL, DATABASE_URL, and the
private PostgreSQL in the nearest .lavoro directory.

";

/// A job queue on PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "lavoro",
    version,
    about,
    after_help = format!("{EXAMPLES}{}", exit::HELP),
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a private PostgreSQL for this project until Ctrl-C
    Dev(dev::DevArgs),
    /// Create or upgrade Lavoro's schema
    Migrate(migrate::MigrateArgs),
    /// Enqueue a job and print its id
    Enqueue(enqueue::EnqueueArgs),
    /// Run jobs with shell commands
    Worker(worker::WorkerArgs),
    /// Look at jobs; retry, cancel, edit and delete them
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Look at queues, pause, rename and clear them
    #[command(subcommand)]
    Queues(queues::QueuesCommand),
    /// Look at named locks, release them by force, hold one while a command runs
    #[command(subcommand)]
    Locks(locks::LocksCommand),
    /// Watch queues and failures live
    Top(top::TopArgs),
    /// Check the database and what is done in it, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Print a shell's completion script
    Completions(completions::CompletionsArgs),
    /// Look after workers
    #[command(subcommand)]
    Workers(workers::WorkersCommand),
    /// Print figures of all queues and workers for Prometheus
    Metrics(metrics::MetricsArgs),
    /// See and set how long ended jobs are kept
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Make schedules and look after them
    #[command(subcommand)]
    Schedules(schedules::SchedulesCommand),
    /// Say what keeps a job from running
    Why(why::WhyArgs),
    /// Measure this machine, in a database of the benchmark's own
    Bench(bench::BenchArgs),
}

impl Command {
    /// Whether the command runs until it is told to stop, and so tells more by itself.
    pub(crate) fn is_service(&self) -> bool {
        matches!(self, Self::Dev(_) | Self::Worker(_))
    }

    /// Whether the command draws on the whole terminal, where log lines would spoil its picture.
    pub(crate) fn takes_screen(&self, json: bool) -> bool {
        matches!(self, Self::Top(args) if args.takes_screen(json))
    }
}

/// Reads the command line. Help, the version and complaints are printed here.
pub(crate) fn read() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let wants_json = std::env::args_os().any(|arg| arg == "--json");
        if error.use_stderr() && wants_json {
            let text = error.render().to_string();
            let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            crate::output::json_error("usage", message);
        } else {
            // Nothing is left to tell it to if the terminal is gone.
            let _ = error.print();
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["lavoro"], line].concat())
    }

    #[test]
    fn the_definition_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            ["--schema", "s", "--json", "queues", "list"],
            ["queues", "list", "--json", "--schema", "s"],
        ] {
            let globals = parse(&line).unwrap().globals;
            assert!(globals.json);
            assert_eq!(globals.connect_options().schema.as_deref(), Some("s"));
            assert!(!globals.connect_options().transaction_pooler);
        }
    }

    #[test]
    fn a_pooler_in_transaction_mode_is_told_to_the_core() {
        let cli = parse(&["queues", "list", "--pooler", "transaction"]).unwrap();
        assert!(cli.globals.connect_options().transaction_pooler);
        assert!(parse(&["queues", "list", "--pooler", "statement"]).is_err());
    }

    #[test]
    fn contradictions_are_refused() {
        for line in [
            &["enqueue", "t", "--delay", "1s", "--at", "2030-01-01T00:00:00Z"][..],
            &["migrate", "--dry-run", "--uninstall"],
            &["migrate", "--yes"],
            &["worker"],
            &["worker", "--exec", "no-command"],
            &["jobs", "show", "one"],
            &["jobs", "list", "--state", "lost"],
            &["jobs", "list", "--since", "yesterday"],
            &["jobs", "cancel", "--task", "t", "--yes", "--dry-run"],
            &["jobs", "edit", "1", "--delay", "1s", "--at", "2030-01-01T00:00:00Z"],
            &["enqueue", "t", "--expires-in", "1s", "--expires-at", "2030-01-01T00:00:00Z"],
            &["queues", "rename", "one"],
            &["locks", "run", "l"],
            &["queues", "clear", "q", "--yes", "--dry-run"],
            &["why", "one"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
