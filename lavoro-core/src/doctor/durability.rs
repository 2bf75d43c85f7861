//! Whether a commit that was acknowledged can be lost.

use super::{Check, Facts, Finding, some};

const FSYNC: Check = Check {
    name: "fsync",
    why: "With fsync off a crash of the machine may lose acknowledged jobs and corrupt the database.",
};
const PAGES: Check = Check {
    name: "full_page_writes",
    why: "Without full page writes a crash of the machine may leave pages half written, which \
          nothing repairs.",
};
const COMMIT: Check = Check {
    name: "synchronous_commit",
    why: "With synchronous_commit off a crash of the server loses the jobs that were acknowledged \
          in its last moments.",
};
const STANDBY: Check = Check {
    name: "standby",
    why: "After a failover to a standby that commits do not wait for, the last acknowledged jobs \
          are missing.",
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = match &facts.settings {
        Err(said) => vec![FSYNC.unseen(said), PAGES.unseen(said)],
        Ok(settings) => vec![fsync(settings.fsync), pages(settings.full_page_writes)],
    };
    findings.push(commit(facts));
    findings.push(standby(facts));
    findings
}

fn fsync(on: bool) -> Finding {
    if on {
        return FSYNC.ok("fsync is on");
    }
    FSYNC.problem(
        "fsync is off",
        "set fsync = on in postgresql.conf and reload. (The throw-away server of `memory:` has it \
         off for speed: use it for tests only.)",
    )
}

fn pages(on: bool) -> Finding {
    if on {
        return PAGES.ok("full_page_writes is on");
    }
    PAGES.problem(
        "full_page_writes is off",
        "set full_page_writes = on in postgresql.conf and reload, unless the file system writes \
         pages of 8 kB whole. (`memory:` has it off for speed.)",
    )
}

fn commit(facts: &Facts) -> Finding {
    match &facts.relaxed {
        Err(said) => COMMIT.unseen(said),
        Ok(places) if places.is_empty() => COMMIT.ok("every commit waits for the disk"),
        Ok(places) => COMMIT.problem(
            some(places, |(setting, place)| format!("{place}: {setting}")),
            "set synchronous_commit = on, or reset it: in postgresql.conf, by `alter database`, by \
             `alter role`, or in the URL, whichever is named. Set it off for single transactions that \
             can spare it",
        ),
    }
}

fn standby(facts: &Facts) -> Finding {
    let (standbys, settings) = match (&facts.standbys, &facts.settings) {
        (Ok(standbys), Ok(settings)) => (standbys, settings),
        (Err(said), _) | (_, Err(said)) => return STANDBY.unseen(said),
    };
    if standbys.following == 0 {
        return STANDBY.ok("no standby follows this server");
    }
    let named = format!("{} standby(s) follow: {}", standbys.following, standbys.names);
    if settings.standby_names.trim().is_empty() {
        return STANDBY.warning(
            format!("{named}; synchronous_standby_names is empty, so that no commit waits for one"),
            "name a standby in synchronous_standby_names, or accept that a failover may lose the \
             jobs of its last moments",
        );
    }
    if standbys.synchronous == 0 && facts.server.sees_all {
        return STANDBY.warning(
            format!("{named}; none of them is one of synchronous_standby_names"),
            "commits wait until one is back: start it, or mend synchronous_standby_names",
        );
    }
    STANDBY.ok(format!("{named}; commits wait for {}", settings.standby_names))
}

#[cfg(test)]
mod tests {
    use super::super::tests::status;
    use super::super::{Facts, Standbys};

    #[test]
    fn what_a_crash_may_lose_is_a_problem() {
        assert_eq!(status("fsync", |f| f.settings.as_mut().unwrap().fsync = false), "problem");
        let pages = |f: &mut Facts| f.settings.as_mut().unwrap().full_page_writes = false;
        assert_eq!(status("full_page_writes", pages), "problem");
        let relaxed = |f: &mut Facts| f.relaxed = Ok(vec![("off".into(), "role app".into())]);
        assert_eq!(status("synchronous_commit", relaxed), "problem");
    }

    #[test]
    fn a_standby_that_no_commit_waits_for_is_a_warning() {
        let follow = |synchronous: i64, names: &'static str| {
            move |f: &mut Facts| {
                f.standbys = Ok(Standbys { following: 1, synchronous, names: "b".into() });
                f.settings.as_mut().unwrap().standby_names = names.into();
            }
        };
        assert_eq!(status("standby", follow(0, "")), "warning");
        assert_eq!(status("standby", follow(0, "c")), "warning");
        assert_eq!(status("standby", follow(1, "b")), "ok");
    }
}
