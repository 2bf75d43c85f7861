//! `lavoro worker`.

mod drain;
mod exec;
pub(super) mod group;
mod pipes;

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::parse::{self, Exec, Served};
use crate::signals::Signals;
use clap::Args;
use group::Groups;
use lavoro_core::{DEFAULT_QUEUE, Lavoro, Worker, WorkerBuilder};
use std::sync::Arc;
use std::time::Duration;

/// How many jobs of a queue run at once unless told otherwise.
const CONCURRENCY: u32 = 10;

/// How long jobs are held back when the worker stops, so that each command is gone before another
/// worker may start the next: it takes no longer to kill it.
const GRACE: Duration =
    group::GRACE.saturating_add(exec::LINGER).saturating_add(Duration::from_secs(1));

const HELP: &str = "\
The command gets the payload as JSON on stdin and runs in `sh -c`. In its environment:
  LAVORO_JOB_ID, LAVORO_JOB_TOKEN, LAVORO_TASK, LAVORO_QUEUE, LAVORO_ATTEMPT, LAVORO_MAX_ATTEMPTS

Its exit code says what becomes of the job:
  0      completed; JSON on stdout is its result, other text is kept as a JSON string
  65     (EX_DATAERR) failed for good: discarded
  75     (EX_TEMPFAIL) not now: again in 30 seconds, the attempt is not counted
  other  failed: tried again after its backoff; so does death by a signal
The end of stderr, up to 16 KiB, is kept with the error.

A command runs in a process group of its own. When its job is cancelled, has taken longer than
its timeout, or the worker has to stop, the group gets SIGTERM, and SIGKILL 5 seconds later. What
a command leaves running in its group is killed when it exits.

SIGINT or SIGTERM: no more jobs are claimed, running commands may end within --stop-timeout, the
rest is stopped, and each job handed back when its command has ended. A second one: at once.

Examples:
  lavoro worker --exec greet='jq -r .name'
  lavoro worker --exec greet='jq -r .name' --listen 127.0.0.1:9090
  lavoro worker --exec resize=./resize.sh --exec mail='python mail.py' --queue default=4 --queue mail=2";

/// Runs jobs with shell commands until SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct WorkerArgs {
    /// The command that runs a task; may be repeated
    #[arg(long = "exec", value_name = "TASK=COMMAND", value_parser = parse::exec, required = true)]
    execs: Vec<Exec>,
    /// Serve a queue, up to N of its jobs at once; may be repeated; prefix* stands for all queues
    /// that begin alike [default: default=10]
    #[arg(long = "queue", value_name = "QUEUE[=N[:WEIGHT]]", value_parser = parse::served)]
    queues: Vec<Served>,
    /// How many jobs run at once over all queues [default: the sum of the queues']
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// The worker's name in listings [default: HOST:PID]
    #[arg(long)]
    name: Option<String>,
    /// How long running commands have to end when the worker stops
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    stop_timeout: Duration,
    /// Answer GET /health and GET /metrics at this address, without authentication: name
    /// 127.0.0.1:PORT, or an address behind a network policy; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Stop when no job of these tasks is available or running in these queues
    #[arg(long)]
    drain: bool,
}

impl WorkerArgs {
    /// The queues to serve, each with its concurrency and weight.
    fn served(&self) -> Vec<(String, u32, u32)> {
        let usual = self.concurrency.unwrap_or(CONCURRENCY);
        if self.queues.is_empty() {
            return vec![(DEFAULT_QUEUE.to_owned(), usual, 1)];
        }
        let served = |s: &Served| (s.queue.clone(), s.concurrency.unwrap_or(usual), s.weight);
        self.queues.iter().map(served).collect()
    }

    fn builder(&self, lavoro: &Lavoro, groups: &Arc<Groups>) -> WorkerBuilder {
        let mut builder = Worker::builder(lavoro).grace(GRACE);
        for (queue, concurrency, weight) in self.served() {
            builder = builder.weighted_queue(queue, concurrency, weight);
        }
        if let Some(concurrency) = self.concurrency {
            builder = builder.concurrency(concurrency);
        }
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        if let Some(address) = self.listen {
            builder = builder.listen(address);
        }
        for exec in &self.execs {
            let (command, groups) = (Arc::<str>::from(exec.command.as_str()), Arc::clone(groups));
            builder = builder.handler(&exec.task, move |job| {
                exec::run(Arc::clone(&command), job, Arc::clone(&groups))
            });
        }
        builder
    }
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: WorkerArgs) -> Result<()> {
    let mut signals = Signals::new()?;
    let groups = Arc::new(Groups::default());
    let lavoro = Lavoro::connect_with(globals.connect_options()).await?;
    let worker = match args.builder(&lavoro, &groups).start().await {
        Ok(worker) => worker,
        Err(error) => {
            lavoro.close().await;
            return Err(error.into());
        }
    };
    tracing::info!(worker = worker.id(), "started");
    if let Some(address) = worker.address() {
        tracing::info!(%address, "listening");
    }
    let ended = tokio::select! {
        ended = drain::drained(&lavoro, &args) => ended,
        _ = signals.next() => Ok(()),
        () = worker.stuck() => Err(Failure::stuck()),
    };
    let stop = async {
        stop(worker, args.stop_timeout, &groups).await;
        lavoro.close().await;
    };
    tokio::select! {
        () = stop => ended,
        code = signals.next() => exit_at_once(code, &groups),
    }
}

/// Stops: no more jobs are claimed, commands may end in time or are ended.
async fn stop(worker: Worker, timeout: Duration, groups: &Groups) {
    tracing::info!("stopping: no more jobs are claimed");
    if !worker.stop(timeout).await {
        tracing::warn!("commands that still ran are stopped, their jobs handed back");
    }
    groups.ended().await;
    tracing::info!("stopped");
}

/// Ends this program without another word to the database.
fn exit_at_once(code: i32, groups: &Groups) -> ! {
    tracing::warn!("stopping at once: other workers will rescue the jobs that ran");
    groups.kill();
    std::process::exit(code)
}
