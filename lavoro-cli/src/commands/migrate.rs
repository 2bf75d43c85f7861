//! `lavoro migrate`.

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::Output;
use clap::Args;
use lavoro_core::Migrations;
use serde_json::json;

/// Creates or upgrades Lavoro's schema. Any number of processes may do it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro migrate                         apply what is missing
  lavoro migrate --dry-run > up.sql      see, or let someone else run, what would be applied
  lavoro migrate --uninstall --yes       remove the schema with every job in it")]
pub(crate) struct MigrateArgs {
    /// Print the SQL that would run, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove everything Lavoro made in the schema, every job included
    #[arg(long, conflicts_with = "dry_run")]
    uninstall: bool,
    /// Do not ask whether to uninstall
    #[arg(long, requires = "uninstall")]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &MigrateArgs, output: Output) -> Result<()> {
    if args.uninstall && !args.yes {
        return Err(Failure::usage(
            "--uninstall removes the schema with every job in it: add --yes if that is meant",
        ));
    }
    let migrations = Migrations::open(globals.connect_options()).await?;
    if args.uninstall {
        migrations.uninstall().await?;
        return output.print(&json!({"uninstalled": true}), || "Lavoro's schema is gone.".into());
    }
    if args.dry_run {
        let sql = migrations.dry_run().await?;
        return output.print(&json!({"sql": sql}), || sql.clone());
    }
    let applied = migrations.apply().await?;
    output.print(&json!({"applied": applied}), || told(&applied))
}

fn told(applied: &[i32]) -> String {
    if applied.is_empty() {
        return "Nothing to apply: the schema is up to date.".to_owned();
    }
    let versions: Vec<_> = applied.iter().map(ToString::to_string).collect();
    format!("Applied version{} {}.", if applied.len() == 1 { "" } else { "s" }, versions.join(", "))
}
