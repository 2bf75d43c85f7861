//! `lavoro completions`.

use crate::args::Cli;
use crate::exit::Result;
use crate::output::Output;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

/// Prints a script that lets a shell complete lavoro's commands and options.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(lavoro completions bash)                                    in ~/.bashrc
  lavoro completions zsh > \"${fpath[1]}/_lavoro\"
  lavoro completions fish > ~/.config/fish/completions/lavoro.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: &CompletionsArgs, output: Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lavoro", &mut script);
    let script = String::from_utf8_lossy(&script);
    output.print(&json!({"shell": args.shell.to_string(), "script": script}), || {
        script.clone().into_owned()
    })
}
