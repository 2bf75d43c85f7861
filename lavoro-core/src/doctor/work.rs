//! Whether the work is done: jobs without a worker, silent workers, maintenance.

use super::{Check, Facts, Finding, FindingStatus, WorkerFacts, some, span};
use std::collections::BTreeSet;

const UNSERVED: Check = Check {
    name: "unserved",
    why: "Jobs of a task that no living worker handles, or of a queue that none serves, wait for \
          ever.",
};
const WORKERS: Check = Check {
    name: "workers",
    why: "A worker whose heartbeat has stopped is dead, frozen, or cut off from the database.",
};
const VERSIONS: Check = Check {
    name: "worker_versions",
    why: "Workers of different versions may run while a deploy lasts; afterwards one was forgotten.",
};
const LEASES: Check = Check {
    name: "leases",
    why: "Jobs that a lost worker held run again once its leases are taken apart, which every worker \
          does within seconds; until then they do not run at all.",
};
const MAINTENANCE: Check = Check {
    name: "maintenance",
    why: "Delayed and retried jobs become available by maintenance, which workers and `lavoro dev` \
          do. Where none runs they stay where they are.",
};
const PRODUCERS: Check = Check {
    name: "producers",
    why: "Each process that enqueues leaves a row, which maintenance removes a day after it was last \
          seen.",
};

/// Seconds that work may wait without a worker before it is a problem: a deploy takes a while.
const PATIENCE: i64 = 300;
/// Seconds that a scheduled job may be late.
const LATE: i64 = 10;
/// Leases of silence after which somebody should have taken a lost worker's leases apart.
const LEASES_OF_SILENCE: i64 = 3;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![unserved(facts)];
    match &facts.workers {
        Err(said) => findings.extend([&WORKERS, &VERSIONS, &LEASES].map(|c| c.unseen(said))),
        Ok(all) => findings.extend([workers(all), versions(all), leases(all)]),
    }
    match &facts.leftovers {
        Err(said) => findings.extend([&MAINTENANCE, &PRODUCERS].map(|check| check.unseen(said))),
        Ok(left) => {
            findings.push(maintenance(left.due, left.late_seconds));
            findings.push(producers(left.producers, left.old_producers));
        }
    }
    findings
}

fn unserved(facts: &Facts) -> Finding {
    let waiting = match &facts.unserved {
        Err(said) => return UNSERVED.unseen(said),
        Ok(waiting) => waiting,
    };
    if waiting.is_empty() {
        return UNSERVED.ok("every job that may run now has a worker, or waits in a paused queue");
    }
    let status = if waiting.iter().any(|one| one.seconds > PATIENCE) {
        FindingStatus::Problem
    } else {
        FindingStatus::Warning
    };
    let found = some(waiting, |one| {
        let (jobs, task, queue) = (one.jobs, &one.task, &one.queue);
        format!(
            "{jobs} job(s) of task {task:?} in queue {queue:?}, waiting for {}",
            span(one.seconds)
        )
    });
    let remedy = "start a worker that serves the queue and has a handler for the task; or, if the name \
                  is a mistake, cancel the jobs";
    UNSERVED.weighed(status, found, remedy)
}

fn workers(all: &[WorkerFacts]) -> Finding {
    let silent: Vec<_> = all.iter().filter(|worker| worker.is_silent()).collect();
    let living = all.iter().filter(|worker| worker.lives()).count();
    if silent.is_empty() {
        return WORKERS.ok(format!("{living} worker(s) live"));
    }
    let found = some(&silent, |w| format!("{} silent for {}", w.name, span(w.silent_seconds)));
    WORKERS.warning(
        format!("{found}; {living} live"),
        "see whether their processes run and reach the database. A dead one is taken off the list by \
         the next worker that runs",
    )
}

fn versions(all: &[WorkerFacts]) -> Finding {
    let living = all.iter().filter(|worker| worker.lives());
    let versions: BTreeSet<_> = living.map(|worker| worker.version.as_str()).collect();
    let versions: Vec<_> = versions.into_iter().collect();
    match versions.as_slice() {
        [] => VERSIONS.ok("no worker lives"),
        [one] => VERSIONS.ok(format!("all living workers are of version {one}")),
        several => VERSIONS.warning(
            format!("living workers are of versions {}", several.join(", ")),
            "finish the deploy: stop the old workers",
        ),
    }
}

fn leases(all: &[WorkerFacts]) -> Finding {
    let lost: Vec<_> = all.iter().filter(|worker| worker.jobs > 0 && !worker.lives()).collect();
    if lost.is_empty() {
        return LEASES.ok("no lost worker holds jobs");
    }
    let overdue = lost.iter().any(|worker| {
        worker.ended || worker.silent_seconds * 1000 > LEASES_OF_SILENCE * worker.lease_ms
    });
    let status = if overdue { FindingStatus::Problem } else { FindingStatus::Warning };
    let found = some(&lost, |worker| format!("{} holds {} job(s)", worker.name, worker.jobs));
    LEASES.weighed(status, found, "start a worker: it takes them over after one lease (15 s)")
}

fn maintenance(due: i64, late: i64) -> Finding {
    if late <= LATE {
        return MAINTENANCE.ok("no scheduled job is late");
    }
    MAINTENANCE.problem(
        format!("{due} job(s) are due and have not become available, for {}", span(late)),
        "start a worker, or a client with maintenance; if one runs, its log says why it cannot",
    )
}

fn producers(count: i64, old: i64) -> Finding {
    if old == 0 {
        return PRODUCERS.ok(format!("{count} producer(s) were seen lately"));
    }
    PRODUCERS.warning(
        format!("{old} of {count} producers were not seen for two days, and are still there"),
        "let a worker run, which removes them",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::status;
    use super::super::{Facts, Leftovers, Unserved};

    #[test]
    fn work_without_a_worker_is_first_a_warning_and_then_a_problem() {
        let waiting = |seconds| {
            move |f: &mut Facts| {
                f.unserved =
                    Ok(vec![Unserved { queue: "q".into(), task: "t".into(), jobs: 1, seconds }]);
            }
        };
        assert_eq!(status("unserved", waiting(30)), "warning");
        assert_eq!(status("unserved", waiting(3_000)), "problem");
    }

    #[test]
    fn silence_is_measured_in_leases() {
        let silent =
            |seconds| move |f: &mut Facts| f.workers.as_mut().unwrap()[0].silent_seconds = seconds;
        assert_eq!(status("workers", silent(14)), "ok");
        assert_eq!(status("workers", silent(16)), "warning");
        assert_eq!(status("leases", silent(14)), "ok");
        assert_eq!(status("leases", silent(16)), "warning");
        assert_eq!(status("leases", silent(60)), "problem");
        assert_eq!(status("leases", |f| f.workers.as_mut().unwrap()[0].ended = true), "problem");
    }

    #[test]
    fn only_living_workers_are_compared() {
        let other = |silent_seconds| {
            move |f: &mut Facts| {
                let workers = f.workers.as_mut().unwrap();
                let mut other = workers[0].clone();
                (other.version, other.silent_seconds) = ("0.0.9".into(), silent_seconds);
                workers.push(other);
            }
        };
        assert_eq!(status("worker_versions", other(1)), "warning");
        assert_eq!(status("worker_versions", other(60)), "ok");
    }

    #[test]
    fn what_maintenance_left_is_seen() {
        let left = |late_seconds, old_producers| {
            move |f: &mut Facts| {
                f.leftovers = Ok(Leftovers { due: 5, late_seconds, producers: 9, old_producers });
            }
        };
        assert_eq!(status("maintenance", left(9, 0)), "ok");
        assert_eq!(status("maintenance", left(11, 0)), "problem");
        assert_eq!(status("producers", left(0, 4)), "warning");
    }
}
