//! The commands, one module each.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod enqueue;
pub(crate) mod jobs;
pub(crate) mod locks;
mod logs;
pub(crate) mod metrics;
pub(crate) mod migrate;
mod queue_stats;
pub(crate) mod queues;
pub(crate) mod retention;
pub(crate) mod schedules;
pub(crate) mod top;
pub(crate) mod why;
pub(crate) mod worker;
pub(crate) mod workers;
mod workers_check;

use crate::args::{Cli, Command};
use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::logging;
use crate::output::Output;
use lavoro_core::Lavoro;
use std::io::IsTerminal as _;

/// Runs a command to its end.
pub(crate) fn run(cli: Cli, output: Output) -> Result<()> {
    let spoilt = cli.command.takes_screen(cli.globals.json) && std::io::stderr().is_terminal();
    if !spoilt {
        logging::start(cli.globals.verbose, cli.command.is_service())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start threads", &error))?;
    runtime.block_on(dispatch(cli, output))
}

async fn dispatch(cli: Cli, output: Output) -> Result<()> {
    let globals = &cli.globals;
    match cli.command {
        Command::Dev(args) => dev::run(globals, &args, output).await,
        Command::Migrate(args) => migrate::run(globals, &args, output).await,
        Command::Enqueue(args) => enqueue::run(globals, args, output).await,
        Command::Worker(args) => worker::run(globals, args).await,
        Command::Jobs(command) => jobs::run(globals, command, output).await,
        Command::Queues(command) => queues::run(globals, command, output).await,
        Command::Locks(command) => locks::run(globals, command, output).await,
        Command::Top(args) => top::run(globals, &args, output).await,
        Command::Doctor(args) => doctor::run(globals, &args, output).await,
        Command::Completions(args) => completions::run(&args, output),
        Command::Workers(command) => workers::run(globals, command, output).await,
        Command::Metrics(args) => metrics::run(globals, &args, output).await,
        Command::Retention(command) => retention::run(globals, command, output).await,
        Command::Schedules(command) => schedules::run(globals, command, output).await,
        Command::Why(args) => why::run(globals, &args, output).await,
        Command::Bench(args) => bench::run(globals, &args, output).await,
    }
}

/// Connects, does something, and closes the connection whatever came of it.
async fn with_lavoro<T>(
    globals: &Globals,
    work: impl AsyncFnOnce(&Lavoro) -> Result<T>,
) -> Result<T> {
    let lavoro = Lavoro::connect_with(globals.connect_options()).await?;
    let answer = work(&lavoro).await;
    lavoro.close().await;
    answer
}
