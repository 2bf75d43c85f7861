//! The protocol keeps its promises in every state; each old mistake breaks one.

use lavoro_model::{Budget, Flaw, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// Clocks, outages, frozen and dead workers, a rescuer that begins anew.
fn clocks() -> Protocol {
    let budget = Budget {
        claims: 1,
        crashes: 1,
        freezes: 1,
        outages: 1,
        jumps: 1,
        restarts: 1,
        ..Budget::default()
    };
    Protocol { jobs: 1, workers: 2, clocks: true, budget, flaw: None }
}

/// The same where the server's clock does not jump.
fn outages() -> Protocol {
    let clocks = clocks();
    Protocol { budget: Budget { jumps: 0, ..clocks.budget }, ..clocks }
}

/// Completions that race: lost replies, transactions, retries by hand, a worker that freezes.
fn races() -> Protocol {
    let budget = Budget {
        claims: 2,
        freezes: 1,
        lost: 1,
        retries: 1,
        returns: 1,
        transactions: 1,
        cancels: 1,
        ..Budget::default()
    };
    Protocol { jobs: 1, workers: 2, clocks: false, budget, flaw: None }
}

/// Two jobs under one lease, one of them in an open transaction.
fn neighbours() -> Protocol {
    let budget = Budget { claims: 2, crashes: 1, transactions: 1, ..Budget::default() };
    Protocol { jobs: 2, workers: 2, clocks: false, budget, flaw: None }
}

/// Visits every state. Prints how many there are.
fn assert_sound(name: &str, protocol: Protocol) {
    let begun = std::time::Instant::now();
    let checker = protocol.checker().threads(2).spawn_dfs().join();
    println!("{name}: {} states in {:.1?}", checker.unique_state_count(), begun.elapsed());
    checker.assert_properties();
}

/// Finds the shortest way in which a mistake breaks a promise.
fn assert_broken(protocol: Protocol, flaw: Flaw, promises: &[&str]) {
    let protocol = Protocol { flaw: Some(flaw), ..protocol };
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    assert!(
        !found.is_empty(),
        "{flaw:?} breaks nothing in {} states",
        checker.unique_state_count()
    );
    for (promise, path) in found {
        let steps: Vec<String> =
            path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        println!("{flaw:?} breaks {promise:?}: {}", steps.join(" "));
        assert!(promises.contains(&promise), "{flaw:?} breaks {promise:?}");
    }
}

const PLACE: &str = "a job is in exactly one place";
const ONCE: &str = "a job ends once, unless it is retried by hand";
const STALE: &str = "a stale completion is never accepted";
const LIVE: &str = "a live worker with contact is not rescued";
const LOST: &str = "no job is lost: each ends, or can be claimed";
const VERDICT: &str = "a verdict is true";
const OWN: &str = "an open transaction holds up its own job only";

#[test]
fn clocks_and_outages_reap_nobody() {
    assert_sound("clocks", clocks());
}

#[test]
fn races_end_a_job_once() {
    assert_sound("races", races());
}

#[test]
fn neighbours_are_independent() {
    assert_sound("neighbours", neighbours());
}

#[test]
fn without_the_fence_a_late_completion_ends_a_job() {
    assert_broken(races(), Flaw::NoFence, &[STALE, PLACE]);
}

#[test]
fn without_a_second_look_a_heartbeat_is_overlooked() {
    assert_broken(races(), Flaw::NoSecondLook, &[LIVE]);
}

#[test]
fn a_transaction_that_locks_the_lease_only_is_overtaken() {
    assert_broken(races(), Flaw::LeaseOnly, &[PLACE, STALE]);
}

#[test]
fn a_transaction_that_looks_at_the_lease_first_is_overtaken() {
    assert_broken(races(), Flaw::LeaseFirst, &[PLACE, STALE]);
}

#[test]
fn a_rescue_that_waits_for_a_transaction_holds_up_its_neighbours() {
    assert_broken(neighbours(), Flaw::WaitForLocked, &[OWN]);
}

#[test]
fn one_clock_reaps_the_living_after_an_outage() {
    assert_broken(outages(), Flaw::OneClock, &[LIVE]);
}

#[test]
fn without_the_void_row_a_late_claim_takes_a_job_for_ever() {
    assert_broken(races(), Flaw::NoVoid, &[LOST]);
}

#[test]
fn without_its_key_an_outcome_is_written_twice() {
    assert_broken(races(), Flaw::NoKey, &[ONCE]);
}

#[test]
fn a_rescuer_that_counts_its_start_as_silence_reaps_the_living() {
    assert_broken(outages(), Flaw::SilentStart, &[LIVE]);
}

#[test]
fn a_retried_job_left_in_its_lease_is_ended_by_the_attempt_before() {
    assert_broken(races(), Flaw::RetryKeepsLease, &[PLACE, STALE]);
}

#[test]
fn a_rescuers_verdict_must_not_pass_for_the_workers_own() {
    let budget = Budget { claims: 2, freezes: 2, ..Budget::default() };
    let protocol = Protocol { jobs: 1, workers: 2, clocks: false, budget, flaw: None };
    assert_sound("verdicts", protocol);
    assert_broken(protocol, Flaw::RecordedByStart, &[VERDICT]);
}

#[test]
fn a_void_row_must_not_go_while_its_worker_can_stay() {
    let budget = Budget { claims: 2, freezes: 1, lost: 1, ..Budget::default() };
    let protocol = Protocol { jobs: 1, workers: 1, clocks: false, budget, flaw: None };
    assert_broken(protocol, Flaw::EndsLater, &[LOST]);
}
