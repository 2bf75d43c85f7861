//! Whether the account of a soak shows what it claims to show: with the engine broken on purpose
//! it must name the rule that was broken, and without it none. Run by `make sabotage`; the other
//! mutants are in `tests/core/sabotage.rs`.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use lavoro_soak::{Class, Options, Report, run};
use std::path::Path;
use std::time::{Duration, Instant};

/// The seed of every run.
const SEED: u64 = 1;

/// A mutant, the faults that bring it to light, and the rule that is then broken.
type Case = (&'static str, &'static [(Class, u32)], &'static str);

const CASES: &[Case] = &[
    ("ack_before_commit", &[(Class::Restart, 3)], "stuck"),
    ("drop_outcome_on_error", &[(Class::Terminate, 4)], "stuck"),
    ("heartbeat_stops", &[], "unjustified"),
    ("lost_reply_doubles", &[(Class::Swallow, 6)], "doubled"),
];

/// Every fault of the cases, with nothing broken.
const PLAIN: &[(Class, u32)] = &[(Class::Restart, 1), (Class::Terminate, 2), (Class::Swallow, 3)];

/// A short run.
async fn soak(mutant: Option<&str>, faults: &[(Class, u32)]) -> (Report, Duration) {
    let began = Instant::now();
    let name = format!("sabotage-{}", mutant.unwrap_or("none"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    let options = Options {
        jobs: 1500,
        rate: 200,
        faults: faults.to_vec(),
        limit: Duration::from_secs(10),
        sabotage: mutant.map(str::to_owned),
        ..Options::short(env!("CARGO_BIN_EXE_lavoro-soak").into(), dir.clone(), SEED)
    };
    let report = run(&options).await.unwrap();
    let _ = std::fs::remove_dir_all(&dir);
    (report, began.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_shows_each_mutant_and_nothing_without_one() {
    let mut wrong = Vec::new();
    println!("{:25} {:>6}  rules that were broken", "mutant", "red in");
    for (mutant, faults, rule) in CASES {
        let (report, took) = soak(Some(mutant), faults).await;
        println!("{mutant:25} {:5.1}s  {}", took.as_secs_f64(), report.rules().join(", "));
        if !report.rules().contains(rule) {
            wrong.push(format!("{mutant} does not show as {rule:?}: {report}"));
        }
    }
    let (report, took) = soak(None, PLAIN).await;
    println!("{:25} {:5.1}s  none: {}", "(none)", took.as_secs_f64(), report.rules().join(", "));
    if !report.is_clean() {
        wrong.push(format!("without a mutant: {report}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
