//! The checker itself, on ledgers written by hand: what is right passes, what is wrong is named.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use lavoro_soak::{Ledger, Report, check};

const A: &str = "00000000-0000-4000-8000-00000000000a";
const B: &str = "00000000-0000-4000-8000-00000000000b";

/// Two jobs that went well, with the second retried once. Lease: 2 s.
const GOOD: &str = "
run: lease 2000000
producer-1: try quick 1.1 1000
producer-1: ack 1.1 11 true 2000
producer-1: try failing 1.2 1000
producer-1: ack 1.2 12 true 2000
worker-7: start 11 1 @A 7 3000
worker-7: end 11 1 @A Accepted complete 4000
worker-7: start 12 1 @A 7 3000
worker-7: end 12 1 @A Accepted retry 4000
worker-7: start 12 2 @B 7 5000
worker-7: end 12 2 @B Accepted complete 6000
jobs: 11 quick 1.1 completed - 100 400
jobs: 12 failing 1.2 completed - 100 600";

/// A job whose only attempt was refused and that ran again elsewhere.
const LOST_LEASE: &str = "
run: lease 2000000
producer-1: try quick 1.1 1000
producer-1: ack 1.1 11 true 2000
worker-7: start 11 1 @A 7 10000000
worker-7: end 11 1 @A Stale complete 14000000
worker-8: start 11 1 @B 8 13000000
worker-8: end 11 1 @B Accepted complete 13000100
jobs: 11 quick 1.1 completed - 100 400";

/// A transactional job that completed.
const EFFECT: &str = "
producer-1: try transactional 1.1 1000
producer-1: ack 1.1 11 true 2000
worker-7: start 11 1 @A 7 3000
worker-7: commit 11 @A ok 3500
worker-7: end 11 1 @A Accepted complete 4000
jobs: 11 transactional 1.1 completed - 100 400
effects: 11 @A";

fn report(parts: &[&str]) -> Report {
    let mut ledger = Ledger::default();
    for line in parts.iter().flat_map(|part| part.lines()).filter(|line| !line.is_empty()) {
        let (file, line) = line.split_once(": ").unwrap();
        ledger.line(file, &line.replace("@A", A).replace("@B", B)).unwrap();
    }
    check(&ledger)
}

/// The lines that do not hold `text`.
fn without(lines: &str, text: &str) -> String {
    lines.lines().filter(|line| !line.contains(text)).collect::<Vec<_>>().join("\n")
}

/// The lines of `GOOD` without those that hold `text`.
fn good_without(text: &str) -> String {
    without(GOOD, text)
}

#[track_caller]
fn finds(rules: &[&str], parts: &[&str]) -> Report {
    let report = report(parts);
    assert_eq!(report.rules(), rules, "{report}");
    report
}

#[test]
fn what_went_well_passes() {
    let report = finds(&[], &[GOOD]);
    assert_eq!((report.acknowledged, report.executions, report.excused), (2, 3, 0));
}

#[test]
fn an_acknowledged_job_that_does_not_exist_is_lost() {
    let report = finds(&["lost", "unexpected"], &[&good_without("jobs: 11")]);
    let lost = report.violations.iter().find(|violation| violation.rule == "lost").unwrap();
    let history = lost.history.join("\n");
    assert!(history.contains("acknowledged as 1.1") && history.contains("start of"), "{history}");
}

#[test]
fn an_acknowledged_job_that_has_not_ended_is_stuck() {
    let rest = good_without("jobs: 11");
    finds(&["state", "stuck"], &[&rest, "jobs: 11 quick 1.1 open - 100 -"]);
}

#[test]
fn a_job_that_ended_otherwise_than_its_kind_may_is_lost() {
    let rest = good_without("jobs: 11");
    finds(&["lost", "state"], &[&rest, "jobs: 11 quick 1.1 discarded - 100 400"]);
}

#[test]
fn a_deleted_storm_job_is_no_loss() {
    finds(&[], &[GOOD, "producer-1: try storm 1.3 1\nproducer-1: ack 1.3 13 true 2"]);
}

#[test]
fn a_job_that_nobody_asked_for_is_unexpected() {
    let job = "jobs: 99 storm 9.9 cancelled - 100 400";
    finds(&["unexpected"], &[GOOD, job]);
}

#[test]
fn an_attempt_of_unknown_fate_may_have_become_one_job_or_none() {
    let unknown = "producer-1: try storm 1.3 1000\nproducer-1: maybe 1.3 9000";
    let job = "jobs: 13 storm 1.3 cancelled - 100 400";
    let twin = "jobs: 14 storm 1.3 cancelled - 100 400";
    assert_eq!(finds(&[], &[GOOD, unknown]).maybe, (1, 0));
    assert_eq!(finds(&[], &[GOOD, unknown, job]).maybe, (1, 1));
    finds(&["doubled"], &[GOOD, unknown, job, twin]);
}

#[test]
fn an_enqueue_that_was_applied_twice_is_doubled() {
    let twin = "jobs: 13 quick 1.1 completed - 100 400";
    let ran = "worker-7: start 13 1 @A 7 3000\nworker-7: end 13 1 @A Accepted complete 4000";
    finds(&["doubled"], &[GOOD, twin, ran]);
}

#[test]
fn what_was_rolled_back_must_not_be_there() {
    let undone = "producer-1: try storm 1.3 1000\nproducer-1: undone 1.3 2000";
    finds(&[], &[GOOD, undone]);
    finds(
        &["unexpected"],
        &[
            GOOD,
            undone,
            "jobs: 13 storm 1.3 completed - 1 2",
            "worker-7: start 13 1 @A 7 1\nworker-7: end 13 1 @A Accepted complete 2",
        ],
    );
}

#[test]
fn a_lost_lease_needs_a_fault() {
    let report = finds(&["unjustified"], &[LOST_LEASE]);
    assert!(report.violations[0].what.contains("job 11"), "{report}");
}

#[test]
fn a_fault_excuses_only_whom_it_hit_when_it_hit() {
    let freeze = |pid: u32, from: u64, to: u64| format!("nemesis: fault freeze {from} {to} {pid}");
    assert_eq!(finds(&[], &[LOST_LEASE, &freeze(7, 10_500_000, 13_900_000)]).excused, 1);
    // Handed out within a lease after the thaw: its lease had been taken before.
    finds(&[], &[LOST_LEASE, &freeze(7, 5_000_000, 9_000_000)]);
    finds(&["unjustified"], &[LOST_LEASE, &freeze(8, 10_500_000, 13_900_000)]);
    finds(&["unjustified"], &[LOST_LEASE, &freeze(7, 14_500_000, 19_000_000)]);
    finds(&["unjustified"], &[LOST_LEASE, &freeze(7, 3_000_000, 7_900_000)]);
}

#[test]
fn only_long_faults_of_the_server_excuse_and_some_never_do() {
    finds(&[], &[LOST_LEASE, "nemesis: fault outage 10500000 13900000 -"]);
    finds(&["unjustified"], &[LOST_LEASE, "nemesis: fault restart 10500000 11000000 -"]);
    finds(&["unjustified"], &[LOST_LEASE, "nemesis: fault clock-jump 10500000 13900000 -"]);
    finds(&["unjustified"], &[LOST_LEASE, "nemesis: fault terminate 10500000 13900000 -"]);
}

#[test]
fn a_killed_worker_excuses_what_it_ran_and_what_it_had_not_begun_does_not_count() {
    let killed = "
worker-8: start 11 1 @A 8 2500
nemesis: fault kill-worker 2600 2600 8
nemesis: exit worker 8 9 2700";
    let report = finds(&[], &[GOOD.replace("11 1 @A", "11 1 @B").as_str(), killed]);
    assert_eq!(report.excused, 1);
    let late = killed.replace("8 2500", "8 2800");
    finds(&["unjustified"], &[GOOD.replace("11 1 @A", "11 1 @B").as_str(), &late]);
}

#[test]
fn a_start_that_never_ends_in_a_process_that_lives_is_unjustified() {
    let lost = "worker-8: start 11 1 @B 8 2500\nnemesis: fault outage 1000 9000000 -";
    finds(&["unjustified"], &[GOOD, lost]);
}

#[test]
fn nothing_runs_after_its_end_whatever_the_fault() {
    let again = "
nemesis: fault outage 3500 9000000 -
worker-8: start 11 1 @B 8 5000
worker-8: end 11 1 @B Stale complete 6000";
    finds(&["after-end"], &[GOOD, again]);
}

#[test]
fn two_executions_that_were_both_accepted_are_one_too_many() {
    let again = "worker-8: start 11 1 @B 8 3500\nworker-8: end 11 1 @B Accepted complete 6000";
    finds(&["after-end", "stale"], &[GOOD, again]);
}

#[test]
fn one_lease_runs_a_job_once() {
    let again = "worker-7: start 12 2 @B 7 5500";
    let report = report(&[GOOD, again]);
    assert!(report.rules().contains(&"twice"), "{report}");
}

#[test]
fn a_completed_job_must_have_run_to_its_end() {
    finds(
        &["never-run"],
        &[&good_without("worker-7: end 11").replace("worker-7: start 11 1 @A 7 3000\n", "")],
    );
}

#[test]
fn one_effect_per_completed_transactional_job() {
    finds(&[], &[EFFECT]);
    finds(&["effects"], &[&without(EFFECT, "effects")]);
    let report = report(&[EFFECT, "worker-8: start 11 1 @B 8 3100\neffects: 11 @B"]);
    assert!(report.rules().contains(&"effects"), "{report}");
}

#[test]
fn an_effect_of_a_job_that_did_not_complete_is_one_too_many() {
    let open = EFFECT.replace("completed - 100 400", "discarded - 100 400");
    let report = report(&[&open]);
    assert!(report.rules().contains(&"effects"), "{report}");
}

#[test]
fn what_a_handler_is_told_of_its_commit_is_what_happened() {
    finds(&["effects"], &[&EFFECT.replace("@A ok", "@A refused")]);
    // Unknown is honest.
    finds(
        &[],
        &[&EFFECT.replace("@A ok", "@A unknown").replace("Accepted complete", "Stale retry")],
    );
}

#[test]
fn under_a_key_there_is_one_at_a_time() {
    let first = "
producer-1: try quick 1.3 1000
producer-1: ack 1.3 13 true 2000
worker-7: start 13 1 @A 7 3000
worker-7: end 13 1 @A Accepted complete 4000
jobs: 13 quick 1.3 completed key1 1000 2000";
    let second = |created: u32| {
        format!(
            "producer-1: try quick 1.4 1000
producer-1: ack 1.4 14 true 2000
worker-7: start 14 1 @A 7 3000
worker-7: end 14 1 @A Accepted complete 4000
jobs: 14 quick 1.4 completed key1 {created} 9000"
        )
    };
    finds(&[], &[first, &second(2100)]);
    finds(&["key"], &[first, &second(1900)]);
    let refused = "producer-2: try quick 2.1 1\nproducer-2: ack 2.1 13 false 2";
    finds(&[], &[first, refused]);
    finds(&["key"], &[first, GOOD, &refused.replace(" 13 ", " 11 ")]);
    let made = "jobs: 15 quick 2.1 completed key1 5000 5100
worker-7: start 15 1 @A 7 3000
worker-7: end 15 1 @A Accepted complete 4000";
    finds(&["unexpected"], &[first, refused, made]);
}

#[test]
fn a_doomed_job_has_one_follow_up() {
    let doomed = "
producer-1: try doomed 1.3 1000
producer-1: ack 1.3 13 true 2000
jobs: 13 doomed 1.3 discarded - 100 400";
    let follow = |id: u32| {
        format!(
            "jobs: {id} follow - completed - 400 500
follows: {id} 13
worker-7: start {id} 1 @A 7 3000
worker-7: end {id} 1 @A Accepted complete 4000"
        )
    };
    finds(&["follow-up"], &[doomed]);
    finds(&[], &[doomed, &follow(14)]);
    finds(&["follow-up"], &[doomed, &follow(14), &follow(15)]);
}

#[test]
fn a_process_that_ends_by_itself_is_a_crash() {
    finds(&["crash"], &[GOOD, "nemesis: exit worker 9 11 5000"]);
    finds(&["crash"], &[GOOD, "nemesis: exit worker 9 6 5000"]);
    finds(&[], &[GOOD, "nemesis: exit worker 9 6 5000\nworker-9: poison 11 9 4900"]);
    finds(&["crash"], &[GOOD, "nemesis: exit worker 9 9 5000\nnemesis: fault freeze 1 2 9"]);
}

#[test]
fn contradictions_of_the_tables_and_hung_processes_are_told() {
    finds(&["unsound"], &[GOOD, "unsound: job 11 is nowhere"]);
    finds(&["hung"], &[GOOD, "run: hung 1"]);
}
