//! Log lines on stderr.

use crate::exit::{Failure, Result};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging: as `LAVORO_LOG` says, else warnings (of a service also what it does), and
/// more with each `-v`.
pub(crate) fn start(verbose: u8, is_service: bool) -> Result<()> {
    let asked = std::env::var("LAVORO_LOG").ok().filter(|filter| !filter.is_empty());
    let directives = asked.unwrap_or_else(|| by_default(verbose + u8::from(is_service)).to_owned());
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| Failure::usage(format!("LAVORO_LOG is {directives:?}: {error}")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // What a short command says is read at once.
    if is_service {
        lines.init();
    } else {
        lines.without_time().init();
    }
    Ok(())
}

/// The filter of a level, from 0. The driver of the database stays a level behind; the spans of
/// jobs would only repeat on each line what it says.
fn by_default(level: u8) -> &'static str {
    match level {
        0 => "warn",
        1 => "warn,lavoro=info,lavoro_core=info,lavoro::job=warn",
        2 => "info,lavoro=debug,lavoro_core=debug,lavoro::job=warn",
        _ => "debug,lavoro=trace,lavoro_core=trace",
    }
}
