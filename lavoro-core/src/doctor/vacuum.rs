//! Whether dead rows and old transaction numbers are dealt with.

use super::{Check, Facts, Finding, FindingStatus, Holder, TableFacts, size, some, span};

const AUTOVACUUM: Check = Check {
    name: "autovacuum",
    why: "Every job leaves dead rows behind. If nothing removes them, claims become slower and \
          tables grow.",
};
const BLOAT: Check = Check {
    name: "bloat",
    why: "A claim walks over the dead rows at the head of a queue; tables that are mostly dead rows \
          or empty space cost disk and memory.",
};
const SNAPSHOTS: Check = Check {
    name: "snapshots",
    why: "While somebody may still look at an old state of the database, vacuum removes nothing that \
          died since, and claims become slower.",
};
const IDLE: Check = Check {
    name: "idle_transactions",
    why: "A transaction that locks Lavoro's tables and does nothing holds up the jobs it touched, \
          vacuum, and migrations.",
};
const WRAPAROUND: Check = Check {
    name: "wraparound",
    why: "PostgreSQL stops accepting writes when a database's oldest transaction is 2.1 billion \
          transactions old.",
};
const MULTIXACTS: Check = Check {
    name: "multixacts",
    why: "PostgreSQL stops row locks of several transactions when a database's oldest multixact is \
          2.1 billion numbers old.",
};

/// Seconds after which a snapshot or an idle transaction is a warning, and a problem.
const OLD: (i64, i64) = (300, 3_600);
const IDLE_FOR: (i64, i64) = (60, 600);
/// The same in transactions, for holders without a time.
const FAR: (i64, i64) = (1_000_000, 50_000_000);
/// Ages near which the server is about to refuse work: half the way to the end.
const NEAR_THE_END: i64 = 1_000_000_000;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.has_schema() {
        findings.extend([autovacuum(facts), bloat(facts)]);
    }
    findings.push(snapshots(facts));
    if facts.has_schema() {
        findings.push(idle(facts));
    }
    findings.extend(ages(facts));
    findings
}

fn grade(value: i64, (warning, problem): (i64, i64)) -> FindingStatus {
    if value >= problem {
        FindingStatus::Problem
    } else if value >= warning {
        FindingStatus::Warning
    } else {
        FindingStatus::Ok
    }
}

fn autovacuum(facts: &Facts) -> Finding {
    let (settings, tables) = match (&facts.settings, &facts.tables) {
        (Ok(settings), Ok(tables)) => (settings, tables),
        (Err(said), _) | (_, Err(said)) => return AUTOVACUUM.unseen(said),
    };
    let off = |found: String, remedy: &str| AUTOVACUUM.problem(found, remedy);
    if !settings.autovacuum {
        return off(
            "autovacuum is off".into(),
            "set autovacuum = on in postgresql.conf and reload",
        );
    }
    if !settings.track_counts {
        let found = "track_counts is off, without which autovacuum does nothing";
        return off(found.into(), "set track_counts = on in postgresql.conf and reload");
    }
    let without: Vec<_> = tables.iter().filter(|table| table.autovacuum_off).collect();
    if without.is_empty() {
        return AUTOVACUUM.ok("autovacuum is on, for every table of Lavoro");
    }
    let names = some(&without, |table| table.name.clone());
    off(
        format!("autovacuum is off for {names}"),
        "run `alter table … reset (autovacuum_enabled)` for each",
    )
}

/// How bad a table is. Queue tables hold few rows and turn over all the time: what counts is
/// what the next claim meets.
fn weigh(table: &TableFacts) -> FindingStatus {
    let many_dead = table.dead > 50_000 && table.dead > table.live / 4;
    let rows = (table.live + table.dead).max(1);
    let nearly_empty = table.bytes > 512 << 20 && table.bytes / rows > 64 << 10;
    if table.dead > 1_000_000 && table.dead > table.live {
        FindingStatus::Problem
    } else if many_dead || nearly_empty {
        FindingStatus::Warning
    } else {
        FindingStatus::Ok
    }
}

fn bloat(facts: &Facts) -> Finding {
    let tables = match &facts.tables {
        Err(said) => return BLOAT.unseen(said),
        Ok(tables) => tables,
    };
    let worst = tables.iter().map(weigh).max().unwrap_or(FindingStatus::Ok);
    let total: i64 = tables.iter().map(|table| table.bytes).sum();
    if worst == FindingStatus::Ok {
        let dead: i64 = tables.iter().map(|table| table.dead).sum();
        return BLOAT.ok(format!("{dead} dead rows; Lavoro takes {} on disk", size(total)));
    }
    let bad: Vec<_> = tables.iter().filter(|t| weigh(t) != FindingStatus::Ok).collect();
    let found = some(&bad, |table| {
        let vacuumed = table.vacuumed_at.as_deref().unwrap_or("never");
        let TableFacts { name, dead, live, bytes, .. } = table;
        format!("{name}: {dead} dead rows, {live} live, {}, last vacuum {vacuumed}", size(*bytes))
    });
    let remedy = "look first at the findings snapshots and idle_transactions, which keep vacuum from \
                  its work; then run `vacuum` on these tables, or `vacuum full` in a quiet hour to \
                  give the disk space back (it locks the table)";
    BLOAT.weighed(worst, found, remedy)
}

/// A session's age counts in seconds, a slot's or standby's in transactions.
fn weigh_holder(holder: &Holder) -> FindingStatus {
    let by_time = holder.seconds.map_or(FindingStatus::Ok, |seconds| grade(seconds, OLD));
    by_time.max(grade(holder.transactions, FAR))
}

fn snapshots(facts: &Facts) -> Finding {
    let holders = match &facts.snapshots {
        Err(said) => return SNAPSHOTS.unseen(said),
        Ok(holders) => holders,
    };
    let worst = holders.iter().map(weigh_holder).max().unwrap_or(FindingStatus::Ok);
    let mut named: Vec<_> = holders.iter().collect();
    if worst != FindingStatus::Ok {
        named.retain(|holder| weigh_holder(holder) != FindingStatus::Ok);
    }
    let found = some(&named, |holder| {
        let since = holder.seconds.map(|seconds| format!("{}, ", span(seconds)));
        let (kind, name) = (&holder.kind, &holder.name);
        format!("{kind} {name}: {}{} transactions", since.unwrap_or_default(), holder.transactions)
    });
    if !facts.server.sees_all && worst == FindingStatus::Ok {
        return SNAPSHOTS.unseen("this role does not see the sessions of other roles");
    }
    if holders.is_empty() {
        return SNAPSHOTS.ok("nobody holds an old snapshot");
    }
    let remedy = "end the session (`select pg_terminate_backend(pid)`), drop an unused slot (`select \
                  pg_drop_replication_slot(name)`), end a prepared transaction (`rollback prepared`), \
                  or see why a standby's query takes so long";
    SNAPSHOTS.weighed(worst, found, remedy)
}

fn idle(facts: &Facts) -> Finding {
    let idle = match &facts.idle {
        Err(said) => return IDLE.unseen(said),
        Ok(idle) => idle,
    };
    let worst = idle.iter().map(|one| grade(one.seconds, IDLE_FOR)).max();
    let found =
        some(idle, |one| format!("{} for {}, locks {}", one.name, span(one.seconds), one.tables));
    match worst {
        None if !facts.server.sees_all => {
            IDLE.unseen("this role does not see the sessions of other roles")
        }
        None => IDLE.ok("no idle transaction locks Lavoro's tables"),
        Some(worst) => IDLE.weighed(
            worst,
            found,
            "commit or roll back soon after the last statement; end a forgotten one by `select \
             pg_terminate_backend(pid)` or `rollback prepared`; set \
             idle_in_transaction_session_timeout",
        ),
    }
}

fn ages(facts: &Facts) -> [Finding; 2] {
    let (ages, settings) = match (&facts.ages, &facts.settings) {
        (Ok(ages), Ok(settings)) => (ages, settings),
        (Err(said), _) | (_, Err(said)) => {
            return [WRAPAROUND.unseen(said), MULTIXACTS.unseen(said)];
        }
    };
    let remedy = "see the finding snapshots for what keeps vacuum from freezing; then run `vacuum \
                  (freeze)` in that database";
    let judge = |check: &Check, what: &str, age: (i64, &str), freeze: i64| {
        let (age, database) = age;
        // Autovacuum begins at `freeze`: half as much again means that it does not get through.
        let status = grade(age, ((freeze + freeze / 2).min(NEAR_THE_END), NEAR_THE_END));
        let found = format!("the oldest {what} is {age} old, in {database}");
        check.weighed(status, found, remedy)
    };
    let oldest = |age: fn(&super::Ages) -> i64| {
        let oldest = ages.iter().max_by_key(|one| age(one));
        oldest.map_or((0, "no database"), |one| (age(one), one.database.as_str()))
    };
    [
        judge(&WRAPAROUND, "transaction", oldest(|a| a.transactions), settings.freeze_max_age),
        judge(
            &MULTIXACTS,
            "multixact",
            oldest(|a| a.multixacts),
            settings.multixact_freeze_max_age,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{of, status};
    use super::super::{Facts, Holder, Idle};

    #[test]
    fn a_vacuum_that_is_off_is_a_problem() {
        let off = |f: &mut Facts| f.settings.as_mut().unwrap().autovacuum = false;
        assert_eq!(status("autovacuum", off), "problem");
        let uncounted = |f: &mut Facts| f.settings.as_mut().unwrap().track_counts = false;
        assert_eq!(status("autovacuum", uncounted), "problem");
        let one = |f: &mut Facts| f.tables.as_mut().unwrap()[0].autovacuum_off = true;
        assert_eq!(status("autovacuum", one), "problem");
    }

    #[test]
    fn bloat_is_judged_by_dead_rows_and_by_space() {
        let table = |live, dead, bytes| {
            move |f: &mut Facts| {
                let table = &mut f.tables.as_mut().unwrap()[0];
                (table.live, table.dead, table.bytes) = (live, dead, bytes);
            }
        };
        assert_eq!(status("bloat", table(0, 40_000, 1 << 20)), "ok");
        assert_eq!(status("bloat", table(1_000, 60_000, 1 << 20)), "warning");
        assert_eq!(status("bloat", table(1_000_000, 60_000, 1 << 20)), "ok");
        assert_eq!(status("bloat", table(1_000, 2_000_000, 1 << 30)), "problem");
        assert_eq!(status("bloat", table(100, 0, 1 << 30)), "warning");
        assert_eq!(status("bloat", table(10_000_000, 0, 10 << 30)), "ok");
    }

    fn holder(kind: &str, transactions: i64, seconds: Option<i64>) -> Holder {
        Holder { kind: kind.into(), name: "h".into(), transactions, seconds }
    }

    #[test]
    fn old_snapshots_are_judged_by_time_or_by_distance() {
        let held = |holder: Holder| move |f: &mut Facts| f.snapshots = Ok(vec![holder]);
        assert_eq!(status("snapshots", held(holder("session", 10, Some(60)))), "ok");
        assert_eq!(status("snapshots", held(holder("session", 10, Some(600)))), "warning");
        assert_eq!(status("snapshots", held(holder("prepared", 10, Some(7_200)))), "problem");
        assert_eq!(status("snapshots", held(holder("slot", 2_000_000, None))), "warning");
        assert_eq!(status("snapshots", held(holder("slot", 90_000_000, None))), "problem");
        assert_eq!(status("snapshots", |f| f.server.sees_all = false), "warning");
    }

    #[test]
    fn idle_transactions_are_judged_by_time() {
        let idle = |seconds| {
            move |f: &mut Facts| {
                f.idle = Ok(vec![Idle { name: "pid 7".into(), seconds, tables: "job".into() }]);
            }
        };
        assert_eq!(status("idle_transactions", idle(5)), "ok");
        assert_eq!(status("idle_transactions", idle(90)), "warning");
        assert_eq!(status("idle_transactions", idle(900)), "problem");
    }

    #[test]
    fn ages_are_judged_by_the_worst_database() {
        let aged = |transactions, multixacts| {
            move |f: &mut Facts| {
                let ages = f.ages.as_mut().unwrap();
                let other = super::super::Ages { database: "b".into(), transactions, multixacts };
                ages.push(other);
            }
        };
        assert_eq!(status("wraparound", aged(250_000_000, 0)), "ok");
        assert_eq!(status("wraparound", aged(400_000_000, 0)), "warning");
        assert_eq!(status("wraparound", aged(1_500_000_000, 0)), "problem");
        assert_eq!(status("multixacts", aged(0, 700_000_000)), "warning");
        assert_eq!(status("multixacts", aged(0, 1_500_000_000)), "problem");
        let mut facts = Facts::healthy();
        aged(400_000_000, 0)(&mut facts);
        assert!(of(&facts, "wraparound").found.ends_with("in b"));
    }
}
