//! `lavoro dev`.

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::Output;
use crate::signals::Signals;
use clap::Args;
use lavoro_core::{ConnectOptions, Lavoro};
use serde_json::json;
use std::time::{Duration, Instant};

/// After how long a start is not silent any more.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs a private PostgreSQL with Lavoro's schema in it until Ctrl-C or SIGTERM.
///
/// Its data is in the nearest `.lavoro` directory, here or above, which is made here if there
/// is none. Every program of the project that names no database finds it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro dev                keeps its data in .lavoro
  lavoro dev --memory       throws its data away; found through the printed URL only")]
pub(crate) struct DevArgs {
    /// Keep nothing: fast, and gone at the end
    #[arg(long)]
    memory: bool,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &DevArgs, output: Output) -> Result<()> {
    let mut signals = Signals::new()?;
    let options = ConnectOptions { maintenance: true, ..globals.connect_options() };
    let url = Some(url(args, options.url.as_deref())?.to_owned());
    let lavoro = tokio::select! {
        lavoro = Lavoro::connect_with(ConnectOptions { url, ..options }) => lavoro?,
        () = tell_of_waiting() => return Ok(()),
        _ = signals.next() => return Ok(()),
    };
    let joined = lavoro.embedded().is_some_and(|server| !server.is_owner());
    let facts = json!({"url": lavoro.url(), "schema": lavoro.schema(), "joined": joined});
    let printed = output.print(&facts, || told(&lavoro, args.memory, joined));
    if printed.is_ok() {
        signals.next().await;
    }
    tracing::info!("stopping");
    lavoro.close().await;
    printed
}

/// Says what takes so long while a start does. Never ends.
async fn tell_of_waiting() {
    let begin = Instant::now();
    loop {
        tokio::time::sleep(PATIENCE).await;
        tracing::info!(
            "still starting PostgreSQL after {} s: a new cluster writes some 40 MB first, and the \
             schema is brought up to date",
            begin.elapsed().as_secs()
        );
    }
}

fn url<'a>(args: &DevArgs, given: Option<&'a str>) -> Result<&'a str> {
    match given {
        None if args.memory => Ok("memory:"),
        None => Ok("embedded:"),
        Some("memory:") => Ok("memory:"),
        Some(url) if url.starts_with("embedded:") && !args.memory => Ok(url),
        Some(_) => Err(Failure::usage(
            "dev runs a PostgreSQL of its own: of --database-url it takes embedded:DIRECTORY only",
        )),
    }
}

fn told(lavoro: &Lavoro, memory: bool, joined: bool) -> String {
    let url = lavoro.url();
    let running = if joined { "was running already" } else { "is running" };
    let found = if memory {
        format!("Programs find it by: export LAVORO_DATABASE_URL='{url}'")
    } else {
        "Programs in this directory that name no database find it by themselves.".to_owned()
    };
    let other = std::env::var("LAVORO_DATABASE_URL").is_ok_and(|other| !other.is_empty());
    let beware =
        if other { "\nBeware: LAVORO_DATABASE_URL is set here to another one." } else { "" };
    format!(
        "PostgreSQL {running}: {url}\n{found}{beware}\n\
         Next, in two other terminals; Ctrl-C ends this one:\n\
         \x20 lavoro worker --exec greet=cat\n\
         \x20 lavoro enqueue greet '{{\"name\": \"Ada\"}}' --wait\n"
    )
}
