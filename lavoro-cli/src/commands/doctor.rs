//! `lavoro doctor`.

use crate::exit::{Failure, Result};
use crate::globals::Globals;
use crate::output::{Output, printable};
use clap::Args;
use lavoro_core::{Finding, FindingStatus, Lavoro};
use serde_json::json;
use std::fmt::Write as _;

/// Checks the database, the way to it, Lavoro's schema and the work in it.
///
/// Each check is ok, a warning or a problem, with why it matters and what to do. Only reads.
/// What this role may not look at is a warning.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lavoro doctor                                     everything, and the way to it
  lavoro doctor --quiet                             warnings and problems only
  lavoro doctor --json | jq '.findings[] | select(.status != \"ok\")'

The exit code is 0 if no check is a problem, else 1.")]
pub(crate) struct DoctorArgs {
    /// Leave out what is ok
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) async fn run(globals: &Globals, args: &DoctorArgs, output: Output) -> Result<()> {
    let findings = Lavoro::diagnose_at(globals.connect_options()).await?;
    let worst = findings.iter().map(|finding| finding.status).max().unwrap_or(FindingStatus::Ok);
    let wanted = |finding: &&Finding| !args.quiet || finding.status != FindingStatus::Ok;
    let shown: Vec<_> = findings.iter().filter(wanted).collect();
    output.print(&json!({"status": worst, "findings": shown}), || {
        shown.iter().map(|finding| describe(finding)).collect::<String>() + &summary(&findings)
    })?;
    if worst == FindingStatus::Problem { Err(Failure::found()) } else { Ok(()) }
}

fn describe(finding: &Finding) -> String {
    let mut text = format!("{:<8} {:<20} {}\n", finding.status, finding.check, finding.found);
    if let Some(remedy) = &finding.remedy {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:29} why: {}\n{:29} do:  {remedy}", "", finding.why, "");
    }
    printable(&text)
}

fn summary(findings: &[Finding]) -> String {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (ok, warnings, problems) =
        (count(FindingStatus::Ok), count(FindingStatus::Warning), count(FindingStatus::Problem));
    format!("{} checks: {ok} ok, {warnings} warnings, {problems} problems\n", findings.len())
}
