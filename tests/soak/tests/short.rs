//! The soak in its short form: real processes, a real server, a fault of each quick class.
//!
//! The server does not wait for the disk here. It is shot and started again all the same, which
//! shows what Lavoro makes of that; whether a commit survives a loss of power it cannot show,
//! and neither can the long form on a machine that stays up.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use lavoro_soak::{Class, Options, run};

/// A seed by chance, or that of a run to look at again.
fn seed() -> u64 {
    let given = std::env::var("LAVORO_SOAK_SEED").ok();
    given.map_or_else(|| rand::random::<u64>() >> 16, |seed| seed.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_stuck_under_a_fault_of_each_class() {
    let seed = seed();
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{seed}"));
    let options = Options::short(env!("CARGO_BIN_EXE_lavoro-soak").into(), dir.clone(), seed);
    println!("LAVORO_SOAK_SEED={seed}, ledgers in {}", dir.display());
    let report = run(&options).await.unwrap();
    println!("{report}");
    assert!(report.is_clean(), "LAVORO_SOAK_SEED={seed}, ledgers in {}", dir.display());
    // On a busy machine time may be over before all 20 000.
    assert!(report.acknowledged >= 1000, "{report}");
    let struck = report.faults.keys().filter(|name| name.parse::<Class>().is_ok()).count();
    assert!(struck >= Class::QUICK.len() / 2, "the nemesis hardly struck: {report}");
    assert!(report.excused > 0, "no fault cost a lease, so nothing was tested: {report}");
}
