//! Whether our tests can see what they claim to see: for each way in which the engine is broken on
//! purpose, a test that must go red, and that is green otherwise. Run by `make sabotage`.
//!
//! The tests are those of this very program, each run in a process of its own with
//! `LAVORO_SABOTAGE` set.

use lavoro_core::sabotage::MUTANTS;
use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// How long one test may take.
const LIMIT: Duration = Duration::from_mins(4);
/// How many tests run at once: they wait more than they work.
const AT_ONCE: usize = 3;

/// A mutant, the test that must see it, and words of what that test then says: a statement that
/// is merely wrong SQL would be seen by any test. (The machine says many things.)
type Case = (&'static str, &'static str, &'static str);

const MACHINE: &str = "machine::any_order_of_events_leaves_every_job_where_the_model_says";

const CASES: &[Case] = &[
    (
        "ack_before_commit",
        "lost_contact::crashes_of_the_server_lose_nothing_that_was_acknowledged",
        "",
    ),
    ("blame_neighbours", MACHINE, "assertion failed: `(left == right)`"),
    ("cancel_loses_pack", MACHINE, ""),
    (
        "checkpoint_unfenced",
        "checkpoints::a_save_beside_a_rescue_waits_for_its_decision",
        "unwrap_err",
    ),
    ("claim_ignores_pause", MACHINE, "jobs of 0 were claimed"),
    (
        "drop_outcome_on_error",
        "lost_replies::an_outcome_whose_reply_is_lost_is_accepted",
        "left: [Stale]",
    ),
    ("early_reap", "worker::a_blocked_event_loop_loses_no_lease", "left: [Stale]"),
    ("expire_running", "expiry::a_job_that_has_begun_does_not_expire", "left: Cancelled"),
    (
        "fire_unguarded",
        "scheduler_storm::fifty_schedulers_decide_once_on_each_slot_whatever_happens",
        "slots with two jobs",
    ),
    (
        "forget_recover",
        "lost_replies::a_claim_whose_reply_is_lost_is_recovered",
        "claimed jobs are handed out",
    ),
    ("forget_remainder", MACHINE, ""),
    ("heartbeat_stops", "worker::a_blocked_event_loop_loses_no_lease", "left: [Stale]"),
    (
        "lock_ignores_lease",
        "lock_contest::no_two_writers_are_accepted_whatever_happens_to_holders",
        "two holders at one time",
    ),
    (
        "lost_reply_doubles",
        "enqueue::a_single_enqueue_whose_reply_is_lost_is_applied_once",
        "left: 10",
    ),
    ("no_attempt_count", MACHINE, "assertion failed: `(left == right)`"),
    ("no_fence", MACHINE, "accepted: true"),
    (
        "no_second_look",
        "maintenance::a_heartbeat_between_judgement_and_rescue_is_heard",
        "state: Available",
    ),
    (
        "no_self_fence",
        "lost_contact::a_worker_without_contact_gives_its_jobs_up_uncounted",
        "the handler is told to stop",
    ),
    ("one_clock", "lost_contact::an_outage_of_two_leases_reaps_nobody", "left == right"),
    (
        "outcome_twice",
        "transactions::after_a_completion_in_a_transaction_the_handler_may_return_anything",
        "left: None",
    ),
    (
        "overlap_ignores_lease",
        "firing::runs_never_overlap_while_workers_are_killed",
        "assertion `left == right`",
    ),
    ("promote_copies", MACHINE, "ready, scheduled"),
    (
        "prune_running",
        "retention::pruning::a_block_is_pruned_around_those_that_have_not_ended",
        "left: \"\"",
    ),
    ("release_key_early", "unique::a_key_is_held_until_its_job_has_ended", "held while running"),
    (
        "rescue_keeps_worker",
        "maintenance::a_lost_worker_is_ended_together_with_its_rescue",
        "ended_at is not null",
    ),
    (
        "rescue_waits",
        "faults::an_open_transaction_holds_up_only_its_own_job",
        "has not ended within",
    ),
    ("retry_keeps_lease", MACHINE, "lease"),
    ("return_drops_mates", MACHINE, ""),
    (
        "slot_twice",
        "firing::a_slot_that_comes_up_again_is_not_fired_again",
        "assertion `left == right`",
    ),
    (
        "stale_is_accepted",
        "lost_contact::a_completion_after_the_rescue_has_discarded_the_job_is_refused",
        "left: [Accepted]",
    ),
    ("suspects_together", MACHINE, "assertion failed: `(left == right)`"),
    (
        "tx_complete_without_lock",
        "faults::an_open_transaction_holds_up_only_its_own_job",
        "has not ended within",
    ),
];

/// What came of one test in a process of its own.
struct Run {
    green: bool,
    said: String,
    took: Duration,
}

/// Runs a test of this program, with a mutant or as it is.
async fn run(server: &str, test: &str, mutant: Option<&str>) -> Run {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).kill_on_drop(true).stdin(Stdio::null());
    command.env("LAVORO_TEST_SERVER", server);
    // The machine's histories are the same in every run.
    command.env_remove("LAVORO_SABOTAGE").env("PROPTEST_RNG_SEED", "1");
    if let Some(mutant) = mutant {
        command.env("LAVORO_SABOTAGE", mutant).env("LAVORO_TEST_PATIENCE", "10");
    }
    let began = Instant::now();
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let took = began.elapsed();
    let Ok(output) = output else {
        return Run { green: false, said: format!("no end within {LIMIT:?}"), took };
    };
    judge(&output.unwrap(), took)
}

fn judge(output: &Output, took: Duration) -> Run {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (answer, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(answer.contains("running 1 test"), "there is no such test: {answer}{errors}");
    let panic = errors.split(" panicked at ").nth(1).unwrap_or_default();
    let lines = panic.lines().skip(1).take_while(|line| !line.starts_with("note:"));
    let said = lines.collect::<Vec<_>>().join(" ");
    Run { green: output.status.success(), said, took }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_turns_its_test_red_and_no_mutant_leaves_it_green() {
    let known: Vec<&str> = MUTANTS.iter().map(|(_, name)| *name).collect();
    let listed: Vec<&str> = CASES.iter().map(|(mutant, ..)| *mutant).collect();
    assert_eq!(listed, known, "each mutant has a test, in the order of lavoro_core::sabotage");

    let server = tokio::task::spawn_blocking(lavoro_tests::server_url).await.unwrap();
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let spawn = |test: &'static str, mutant: Option<&'static str>| {
        let (gate, server) = (Arc::clone(&gate), server.clone());
        tokio::spawn(async move {
            let _turn = gate.acquire_owned().await;
            run(&server, test, mutant).await
        })
    };
    let tests: std::collections::BTreeSet<_> = CASES.iter().map(|(_, test, _)| *test).collect();
    let red: Vec<_> = CASES.iter().map(|case| (case, spawn(case.1, Some(case.0)))).collect();
    let plain: BTreeMap<_, _> = tests.iter().map(|test| (*test, spawn(test, None))).collect();

    let mut wrong = Vec::new();
    println!("{:25} {:>6}  test, and what it said", "mutant", "red in");
    for ((mutant, test, words), run) in red {
        let run = run.await.unwrap();
        let seconds = run.took.as_secs_f64();
        let said: String = run.said.chars().take(150).collect();
        println!("{mutant:25} {seconds:5.1}s  {test}\n{:35}{said}", "");
        if run.green {
            wrong.push(format!("{mutant} is not seen by {test}"));
        } else if !run.said.contains(words) || run.said.contains("PgDatabaseError") {
            wrong.push(format!("{mutant}: {test} did not say {words:?} but: {}", run.said));
        }
    }
    for (test, run) in plain {
        let run = run.await.unwrap();
        println!("{:25} {:5.1}s  {test} is green", "(none)", run.took.as_secs_f64());
        if !run.green {
            wrong.push(format!("{test} is red without a mutant: {}", run.said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
