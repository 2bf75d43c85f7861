//! The demo itself: the process that starts all others and looks on.

use crate::console::{Console, Style};
use crate::input::{self, Size};
use crate::output::{self, ROOT, directory};
use crate::processes::{Fleet, Places};
use crate::rescue::Drama;
use crate::{Result, role, smtp_sink, summary, verify, watch};
use lavoro_core::{JobId, JobInfo, Lavoro};

/// Shows it all. Fails if anything is missing.
pub(crate) async fn run(size: Size) -> Result<()> {
    let console = Console::new();
    // Children and server end with what is dropped here.
    tokio::select! {
        shown = show(&console, size) => shown,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

async fn show(console: &Console, size: Size) -> Result<()> {
    console.line(&console.paint(Style::Bold, "Lavoro: a job queue on PostgreSQL, at work"));
    console.line("");
    output::prepare()?;
    let bytes = tokio::task::spawn_blocking(move || input::make(size)).await??;
    let text = format!(
        "{} photographs, {} documents, {} logs ({:.1} MB) made in {ROOT}/input",
        size.all_photographs(),
        size.documents,
        size.logs,
        bytes as f64 / 1e6
    );
    console.step(Style::Bold, "input", &text);
    let lavoro = Lavoro::connect("memory:").await?;
    console.step(Style::Bold, "database", "a private PostgreSQL, thrown away at the end");
    let smtp = smtp_sink::start().await?;
    console.step(Style::Bold, "mail", &format!("a server on {smtp} keeps what it is sent"));
    let places = Places { url: lavoro.url().to_owned(), smtp };
    let worked = work(console, &lavoro, &places, size).await;
    lavoro.close().await;
    report(console, size, worked?).await
}

/// What the work came to.
#[derive(Debug)]
struct Worked {
    produced: Vec<JobId>,
    jobs: Vec<JobInfo>,
    drama: Drama,
    stopped: (usize, usize),
}

async fn work(console: &Console, lavoro: &Lavoro, places: &Places, size: Size) -> Result<Worked> {
    let mut fleet = Fleet::start(places)?;
    let names: Vec<&str> = fleet.processes().iter().map(|process| process.name).collect();
    console.step(
        Style::Bold,
        "workers",
        &format!("{} processes: {}", names.len(), names.join(", ")),
    );
    let timing = role::timing();
    let text = format!(
        "heartbeat {:?}, lease {:?}, scan {:?}: shorter than the defaults, to save you time",
        timing.heartbeat, timing.lease, timing.scan
    );
    console.step(Style::Plain, "", &text);
    let produced = places.produce().await?;
    console.step(Style::Bold, "producer", &format!("enqueued {} jobs and ended", produced.len()));
    let (jobs, drama) = watch::until_all_ended(console, lavoro, &mut fleet, size).await?;
    let stopped = fleet.stop().await?;
    let text = format!("{} of {} workers stopped cleanly on SIGTERM", stopped.0, stopped.1);
    console.step(Style::Bold, "stopped", &text);
    Ok(Worked { produced, jobs, drama, stopped })
}

/// Prints the table and the story, and looks at the files.
async fn report(console: &Console, size: Size, worked: Worked) -> Result<()> {
    let Worked { produced, jobs, drama, stopped } = worked;
    // A killed attempt may have left half a file here, and only here.
    std::fs::remove_dir_all(directory("tmp"))?;
    let acknowledged = verify::acknowledged(&produced, &jobs);
    summary::table(console, &jobs);
    summary::story(console, &jobs, &acknowledged, &drama);
    let expected = watch::expected(size).iter().map(|(_, count, _)| count).sum();
    let clean = match stopped {
        (clean, all) if clean == all => Ok(format!("{clean} of {all} stopped cleanly")),
        (clean, all) => Err(format!("only {clean} of {all} stopped cleanly").into()),
    };
    let mut checks = vec![
        ("jobs", verify::every_job(expected, &jobs, &acknowledged)),
        ("rescue", verify::rescue(&drama, &jobs)),
        ("workers", clean),
    ];
    checks.extend(tokio::task::spawn_blocking(move || verify::files(&jobs)).await?);
    console.line("");
    let mut wrong = 0;
    for (what, found) in checks {
        match found {
            Ok(text) => summary::entry(console, Style::Good, "checked", &format!("{what}: {text}")),
            Err(error) => {
                wrong += 1;
                summary::entry(console, Style::Bad, "WRONG", &format!("{what}: {error}"));
            }
        }
    }
    console.line("");
    console
        .line(&format!("Look at {ROOT}/images, {ROOT}/reports, {ROOT}/backups and {ROOT}/mail;"));
    console.line(&format!("what the workers said is in {ROOT}/logs."));
    console.line(&format!("Done in {:.0} s.", console.seconds()));
    if wrong > 0 {
        return Err(format!("{wrong} of the checks failed").into());
    }
    Ok(())
}
