//! Lavoro at work: photographs are resized, reports written, files backed up and mail sent by
//! several processes, one of which is killed half-way.
//!
//! `lavoro-demo` shows it; `lavoro-demo --quick` does the same with fewer and smaller files. The
//! other subcommands are the processes that it starts from its own binary.

mod console;
mod input;
mod output;
mod pdf;
mod photo;
mod processes;
mod producer;
mod rescue;
mod role;
mod show;
mod smtp_sink;
mod summary;
mod tasks;
mod verify;
mod watch;

use std::process::ExitCode;

/// Whatever goes wrong here ends up as a line of text.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const USAGE: &str = "usage: lavoro-demo [--quick]

Shows Lavoro at work in ./demo-output, which is removed and made again.

  --quick   fewer and smaller files";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *arguments {
        [] => show::run(input::Size::FULL).await,
        ["--quick"] => show::run(input::Size::QUICK).await,
        ["producer"] => producer::run().await,
        ["worker", role, name] => role::run(role, name).await,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lavoro-demo: {error}");
            ExitCode::FAILURE
        }
    }
}
