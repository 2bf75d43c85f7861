//! `lavoro locks`.

use super::with_lavoro;
use super::worker::group::Groups;
use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::{Output, Table};
use crate::parse;
use crate::signals::Signals;
use clap::{Args, Subcommand};
use lavoro_core::{ErrorKind, Lavoro, Lock, LockInfo, LockLoss};
use serde_json::json;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};

/// What can be done with locks.
#[derive(Debug, Subcommand)]
pub(crate) enum LocksCommand {
    /// Show the locks that are held, by whom, and how many wait for them
    List,
    /// Release a lock whoever holds it
    Release(ReleaseArgs),
    /// Hold a lock while a command runs
    Run(RunArgs),
}

/// Which lock to release.
#[derive(Debug, Args)]
#[command(after_help = "\
Its holder may still be at work: make sure that it is not, or that what it writes is refused by its
fencing token. The holder is told, and the next who waits gets the lock.

Examples:
  lavoro locks release nightly           who holds it
  lavoro locks release nightly --yes     release it")]
pub(crate) struct ReleaseArgs {
    /// The lock
    name: String,
    /// Release: without this its owner is only shown, with exit code 2
    #[arg(long)]
    yes: bool,
}

/// What to run under a lock.
#[derive(Debug, Args)]
#[command(after_help = "\
The command finds LAVORO_LOCK (the name) and LAVORO_LOCK_FENCE (the fencing token) in its
environment. The exit code is the command's, or 128 and the number of the signal that ended it.
If the lock was not free in time, the command is not run and the exit code is 6.

When the lock is lost, and on SIGINT or SIGTERM, the command's process group gets SIGTERM, and
SIGKILL 5 seconds later; after a loss the exit code is 7. A group that has not ended 1/5 of
the lifetime after contact was lost may still be at work when another gets the lock: take a lifetime
of 30 s or more for commands that are slow to end.

Examples:
  lavoro locks run nightly -- ./report.sh
  lavoro locks run deploy --wait 0 --lifetime 1m -- make deploy")]
pub(crate) struct RunArgs {
    /// The lock
    name: String,
    /// How long the lock lives when it cannot be extended, 1s to 1d
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse::duration)]
    lifetime: Duration,
    /// How long to wait for the lock, 0 to 1d
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    wait: Duration,
    /// What the holder is called in listings [default: HOST:PID]
    #[arg(long)]
    owner: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, command: LocksCommand, output: Output) -> Result<()> {
    with_lavoro(globals, async |lavoro| match command {
        LocksCommand::List => {
            let locks = lavoro.locks().await?;
            output.print(&locks, || table(&locks))
        }
        LocksCommand::Release(args) => release(lavoro, args, output).await,
        LocksCommand::Run(args) => hold(lavoro, args).await,
    })
    .await
}

async fn release(lavoro: &Lavoro, args: ReleaseArgs, output: Output) -> Result<()> {
    let name = args.name;
    if args.yes {
        let owner = lavoro.force_release(&name).await?;
        let answer = json!({"name": name, "released": owner.is_some(), "owner": owner});
        return output.print(&answer, || match &owner {
            Some(owner) => format!("Released {name}, which {owner} held."),
            None => format!("{name} was free."),
        });
    }
    lavoro_core::limits::check_lock(&name)?;
    let locks = lavoro.locks().await?;
    let owner = locks.iter().find(|lock| lock.name == name).map(|lock| lock.owner.clone());
    let answer = json!({"name": name, "released": false, "owner": owner});
    output.print(&answer, || match &owner {
        Some(owner) => format!("{owner} holds {name}."),
        None => format!("{name} is free."),
    })?;
    Err(Failure::usage("nothing was released: pass --yes to release"))
}

/// What a command that ran under a lock came to.
enum End {
    Exited(ExitStatus),
    Lost(LockLoss),
}

async fn hold(lavoro: &Lavoro, args: RunArgs) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut wanted = lavoro.lock(&args.name).lifetime(args.lifetime).wait(args.wait);
    if let Some(owner) = args.owner {
        wanted = wanted.owner(owner);
    }
    let lock = tokio::select! {
        lock = wanted.acquire() => lock?,
        code = signals.next() => return Err(Failure::command(code)),
    };
    let end = attend(&lock, &args.command, &mut signals).await;
    // Only now: the command has ended.
    let released = lock.release().await;
    match end? {
        End::Exited(status) => {
            if let Err(error) = released {
                tracing::warn!(%error, "the lock was not released: it ends by itself");
            }
            let code = status.code().or_else(|| status.signal().map(|number| 128 + number));
            match code {
                Some(0) => Ok(()),
                code => Err(Failure::command(code.unwrap_or(1))),
            }
        }
        End::Lost(why) => {
            let why = match why {
                LockLoss::LostContact => "it could not be extended in time",
                LockLoss::Lost => "it has expired, or was released by force",
                LockLoss::Closed => "the client was closed",
            };
            let message =
                format!("the lock {:?} was lost ({why}): the command was ended", lock.name());
            Err(lavoro_core::Error::new(ErrorKind::LockLost, message).into())
        }
    }
}

/// Runs the command to its end, which a lost lock and a signal bring about.
async fn attend(lock: &Lock, command: &[String], signals: &mut Signals) -> Result<End> {
    let groups = Arc::new(Groups::default());
    let leader = groups.start(|| start(lock, command));
    let mut leader =
        leader.map_err(|error| Failure::io("the command cannot be started", &error))?;
    let mut lost = None;
    let told = async {
        tokio::select! {
            why = lock.lost() => lost = Some(why),
            _ = signals.next() => {}
        }
    };
    let status = leader.wait(told).await;
    leader.clean_up();
    let status = status.map_err(|error| Failure::io("the command's end is not known", &error))?;
    Ok(lost.map_or(End::Exited(status), End::Lost))
}

fn start(lock: &Lock, command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| std::io::Error::other("no command is named"))?;
    // A group of its own may not read from the terminal.
    let piped = !std::io::stdin().is_terminal();
    Command::new(program)
        .args(arguments)
        .env("LAVORO_LOCK", lock.name())
        .env("LAVORO_LOCK_FENCE", lock.fencing_token().to_string())
        .stdin(if piped { Stdio::inherit() } else { Stdio::null() })
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

fn table(locks: &[LockInfo]) -> String {
    let headings = ["LOCK", "OWNER", ">FENCE", ">WAITING", "SINCE", "EXPIRES"];
    let mut table = Table::new(&headings);
    for lock in locks {
        table.row(&[
            lock.name.clone(),
            lock.owner.clone(),
            lock.fence.to_string(),
            lock.waiting.to_string(),
            super::jobs::time(Some(lock.acquired_at)),
            super::jobs::time(Some(lock.expires_at)),
        ]);
    }
    table.render()
}
