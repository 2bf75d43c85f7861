//! Whether schedules fire: those that cannot, that wait for a person, that are late, that nobody
//! declares any more, and that were paused and forgotten.

use super::{Check, Facts, Finding, ScheduleFacts, some, span};

const SCHEDULES: Check = Check {
    name: "schedules",
    why: "A schedule that cannot be understood does not fire. One that is due is fired by workers and by \
          clients with maintenance; where none runs, its slots are missed.",
};
const HELD: Check = Check {
    name: "schedules_held",
    why: "A schedule with on_lost hold skips its slots after a lost run until a person has looked at it.",
};
const UNDECLARED: Check = Check {
    name: "schedules_undeclared",
    why: "A schedule that was declared in code goes on when the code no longer declares it.",
};
const PAUSED: Check = Check {
    name: "schedules_paused",
    why: "A paused schedule has no slots. A pause that was forgotten looks like one that is meant.",
};

/// Seconds after which a slot that nobody has looked at counts as missed.
const LATE: i64 = 15;
/// Seconds after which a pause may have been forgotten: a week.
const FORGOTTEN: i64 = 7 * 86_400;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    match &facts.schedules {
        Err(said) => [&SCHEDULES, &HELD, &UNDECLARED, &PAUSED].map(|c| c.unseen(said)).into(),
        Ok(all) => vec![fires(all), held(all), undeclared(all), paused(all)],
    }
}

fn fires(all: &[ScheduleFacts]) -> Finding {
    let broken: Vec<_> = all.iter().filter(|schedule| schedule.problem.is_some()).collect();
    if !broken.is_empty() {
        let found = some(&broken, |one| {
            format!("{:?}: {}", one.name, one.problem.as_deref().unwrap_or_default())
        });
        return SCHEDULES.problem(
            format!("cannot fire: {found}"),
            "replace them: `lavoro schedules add NAME … --replace`, or remove them",
        );
    }
    let late: Vec<_> = all.iter().filter(|schedule| schedule.late_seconds > LATE).collect();
    if late.is_empty() {
        return SCHEDULES.ok("every schedule that is due has been looked at");
    }
    let found = some(&late, |one| format!("{:?} for {}", one.name, span(one.late_seconds)));
    SCHEDULES.problem(
        format!("due, and nobody has looked at them: {found}"),
        "start a worker, or a client with maintenance; if one runs, its log says why it cannot",
    )
}

fn held(all: &[ScheduleFacts]) -> Finding {
    let held: Vec<_> = all.iter().filter(|schedule| schedule.held).collect();
    if held.is_empty() {
        return HELD.ok("no schedule waits for a person");
    }
    HELD.problem(
        format!("wait for a person: {}", names(&held)),
        "make sure that the lost run has ended, then `lavoro schedules resume NAME`, or retry its job",
    )
}

fn undeclared(all: &[ScheduleFacts]) -> Finding {
    let gone: Vec<_> = all.iter().filter(|schedule| schedule.undeclared).collect();
    if gone.is_empty() {
        return UNDECLARED.ok("every schedule that was declared in code still is");
    }
    UNDECLARED.warning(
        format!("no living process declares {}", names(&gone)),
        "start the process that declares them, or `lavoro schedules remove NAME`",
    )
}

fn paused(all: &[ScheduleFacts]) -> Finding {
    let long: Vec<_> = all.iter().filter(|schedule| schedule.paused_seconds > FORGOTTEN).collect();
    if long.is_empty() {
        return PAUSED.ok("no schedule has been paused for a week");
    }
    let found = some(&long, |one| format!("{:?} for {}", one.name, span(one.paused_seconds)));
    PAUSED.warning(
        format!("paused: {found}"),
        "`lavoro schedules resume NAME`, or remove what is not needed any more",
    )
}

fn names(schedules: &[&ScheduleFacts]) -> String {
    some(schedules, |schedule| format!("{:?}", schedule.name))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, status};
    use super::super::{Facts, ScheduleFacts};

    fn ails(change: impl FnOnce(&mut ScheduleFacts)) -> impl FnOnce(&mut Facts) {
        let mut schedule = ScheduleFacts {
            name: "s".into(),
            problem: None,
            held: false,
            late_seconds: 0,
            undeclared: false,
            paused_seconds: 0,
        };
        change(&mut schedule);
        |facts| facts.schedules = Ok(vec![schedule])
    }

    #[test]
    fn each_ailment_has_its_check() {
        assert_eq!(status("schedules", ails(|s| s.problem = Some("no zone".into()))), "problem");
        assert_eq!(status("schedules", ails(|s| s.late_seconds = 15)), "ok");
        assert_eq!(status("schedules", ails(|s| s.late_seconds = 16)), "problem");
        assert_eq!(status("schedules_held", ails(|s| s.held = true)), "problem");
        assert_eq!(status("schedules_undeclared", ails(|s| s.undeclared = true)), "warning");
        assert_eq!(status("schedules_paused", ails(|s| s.paused_seconds = 600_000)), "ok");
        assert_eq!(status("schedules_paused", ails(|s| s.paused_seconds = 700_000)), "warning");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut facts = Facts::healthy();
        ails(|s| s.problem = Some("there is no time zone".into()))(&mut facts);
        assert_eq!(of(&facts, "schedules").found, "cannot fire: \"s\": there is no time zone");
    }
}
