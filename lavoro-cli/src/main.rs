//! The command line of Lavoro: see `lavoro --help`.

mod args;
mod commands;
mod exit;
mod globals;
mod logging;
mod output;
mod parse;
mod signals;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = output::Output::new(cli.globals.json);
    match commands::run(cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit())
        }
    }
}
