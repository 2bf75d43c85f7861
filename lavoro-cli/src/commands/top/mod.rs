//! `lavoro top`.

mod draw;
mod panes;
mod screen;
mod source;
mod state;

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::{Output, json_error};
use crate::parse;
use crate::signals::Signals;
use clap::Args;
use lavoro_core::{ConnectOptions, Lavoro};
use source::Source;
use state::State;
use std::io::IsTerminal as _;
use std::time::Duration;

/// The width of a frame for a pipe.
const COLUMNS: u16 = 110;

/// Watches queues and failures live, like top.
///
/// Keys: q quits, the arrows select a queue, p pauses and resumes it, r changes the interval.
/// CHANGE/S is by how many jobs a second a queue grows or shrinks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro top --interval 5s
  lavoro top --once                 one frame as plain text, for pipes
  lavoro top --json                 one JSON document per interval
  lavoro top --once --json | jq '.queues[].available'")]
pub(crate) struct TopArgs {
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Print one frame and end
    #[arg(long)]
    once: bool,
}

impl TopArgs {
    /// Whether the command takes the terminal over, so that log lines would spoil it.
    pub(crate) fn takes_screen(&self, json: bool) -> bool {
        !self.once && !json
    }
}

/// An interval that neither the eye nor the database minds.
fn interval(text: &str) -> std::result::Result<Duration, String> {
    let interval = parse::duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_hours(1)).contains(&interval) {
        return Ok(interval);
    }
    Err("expected 100ms to 1h".to_owned())
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &TopArgs, output: Output) -> Result<()> {
    if args.takes_screen(globals.json) && !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "top draws on a terminal, and stdout is none: add --once for one frame as text, or --json",
        ));
    }
    let mut signals = Signals::new()?;
    // A lost database should show soon.
    let options =
        ConnectOptions { statement_timeout: Duration::from_secs(5), ..globals.connect_options() };
    let lavoro = Lavoro::connect_with(options).await?;
    let source = Source::new(lavoro.clone());
    let answer = if args.once {
        once(source, args.interval, output).await
    } else if globals.json {
        stream(source, args.interval, output, &mut signals).await
    } else {
        screen::run(source, args.interval, &mut signals).await
    };
    lavoro.close().await;
    answer
}

async fn once(source: Source, interval: Duration, output: Output) -> Result<()> {
    let sample = source.sample().await?;
    output.print(&sample, || {
        let mut state = State::new(interval);
        state.take(Ok(sample.clone()));
        draw::text(&mut state, COLUMNS)
    })
}

/// One document per interval, whatever becomes of the database meanwhile.
async fn stream(
    source: Source,
    interval: Duration,
    output: Output,
    signals: &mut Signals,
) -> Result<()> {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = signals.next() => return Ok(()),
        }
        let sample = tokio::select! {
            sample = source.sample() => sample,
            _ = signals.next() => return Ok(()),
        };
        match sample {
            Ok(sample) => output.print(&sample, String::new)?,
            Err(error) => json_error(error.code(), error.message()),
        }
    }
}
