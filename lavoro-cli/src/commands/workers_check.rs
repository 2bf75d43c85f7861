//! `lavoro workers check`.

use crate::exit::{Failure, Result};
use crate::output::Output;
use clap::Args;
use lavoro_core::{Lavoro, WorkerInfo, WorkerState};
use serde_json::json;

const HELP: &str = "\
Exit code 0: such a worker has sent a heartbeat within its lease. 1: none has.

Examples:
  lavoro workers check              any worker on this host
  lavoro workers check mailer       any worker of this name, on any host
  lavoro workers check --json       and say which";

/// Looks for a worker that is alive.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckArgs {
    /// The worker's name [default: any worker on this host]
    name: Option<String>,
}

/// Runs the command.
pub(super) async fn run(lavoro: &Lavoro, args: CheckArgs, output: Output) -> Result<()> {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let is_meant = |worker: &WorkerInfo| match &args.name {
        Some(name) => worker.name == *name,
        None => Some(&worker.host) == host.as_ref(),
    };
    let workers = lavoro.workers().await?.into_iter().filter(is_meant);
    let (alive, silent): (Vec<_>, Vec<_>) =
        workers.partition(|worker| worker.state == WorkerState::Alive);
    let is_alive = !alive.is_empty();
    output.print(&json!({"alive": is_alive, "workers": alive, "silent": silent}), || {
        let lines = alive.iter().chain(&silent).map(|worker| {
            let WorkerInfo { name, id, state, since_beat_ms, .. } = worker;
            let seconds = *since_beat_ms as f64 / 1000.0;
            format!("{name} ({id}) {state}, heartbeat {seconds:.1} s ago\n")
        });
        crate::output::printable(&lines.collect::<String>())
    })?;
    if is_alive {
        return Ok(());
    }
    Err(Failure::no_worker(match args.name {
        Some(name) => format!("no worker named {name:?} is alive"),
        None => "no worker on this host is alive".to_owned(),
    }))
}
