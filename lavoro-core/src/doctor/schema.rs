//! Whether the schema is whole, and this role may use it.

use super::{Check, Facts, Finding, Objects, some};
use lavoro_migrations::{MIGRATIONS, quote};
use std::collections::BTreeMap;

const SCHEMA: Check = Check {
    name: "schema",
    why: "A program works only with the version of the schema that it was made for.",
};
const OBJECTS: Check = Check {
    name: "objects",
    why: "Without an index a claim reads whole tables, and a missing primary key lets a job end \
          twice; without a table or function calls fail.",
};
const PRIVILEGES: Check = Check {
    name: "privileges",
    why: "A worker reads and writes every table of the schema; a role that may not fails at the \
          first job.",
};

/// What a role that only enqueues needs, as in docs/sql.md.
const TO_ENQUEUE: [(&str, &[&str]); 5] = [
    ("job", &["insert"]),
    ("ready", &["insert"]),
    ("scheduled", &["insert"]),
    ("unique_key", &["select", "insert"]),
    ("job_id_seq", &["usage"]),
];

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![schema(facts)];
    if facts.server.migrated {
        findings.extend([objects(facts), privileges(facts)]);
    }
    findings
}

fn schema(facts: &Facts) -> Finding {
    let name = quote(&facts.schema);
    if !facts.server.migrated {
        let missing = format!("there is no schema {name} of Lavoro in this database");
        return SCHEMA.problem(missing, "run `lavoro migrate`, or mend the URL or --schema");
    }
    if facts.server.usable != Some(true) {
        return SCHEMA.problem(
            format!("the role {} may not use the schema {name}", facts.server.role),
            format!("run `grant usage on schema {name} to {}`", quote(&facts.server.role)),
        );
    }
    let version = match &facts.version {
        Err(said) => return SCHEMA.unseen(said),
        Ok(version) => *version,
    };
    let latest = facts.latest;
    let found = format!("the schema {name} has version {version}; this program needs {latest}");
    match version.cmp(&latest) {
        std::cmp::Ordering::Equal => SCHEMA.ok(found),
        std::cmp::Ordering::Less => SCHEMA.problem(found, "run `lavoro migrate`"),
        std::cmp::Ordering::Greater => {
            SCHEMA.problem(found, "upgrade this program to the release that made the schema")
        }
    }
}

/// What the migrations make, read from their SQL.
pub(super) fn expected() -> Objects {
    let mut objects = Objects::default();
    let mut table = None;
    for line in MIGRATIONS.iter().flat_map(|migration| migration.sql.lines()) {
        let code = line.split("--").next().unwrap_or("");
        if let Some(name) = named(code, "create table lavoro.") {
            objects.relations.insert(name.clone(), true);
            table = Some(name);
        } else if let Some(name) = named(code, "create view lavoro.")
            .or_else(|| named(code, "create unique index "))
            .or_else(|| named(code, "create index "))
        {
            objects.relations.insert(name, true);
        } else if let Some(name) = named(code, "create function lavoro.")
            .or_else(|| named(code, "create or replace function lavoro."))
        {
            objects.functions.insert(name, true);
        } else if let Some(name) = named(code, "drop index lavoro.")
            .or_else(|| named(code, "drop view lavoro."))
            .or_else(|| named(code, "drop table lavoro."))
        {
            objects.relations.remove(&format!("{name}_pkey"));
            objects.relations.remove(&name);
        } else if let Some(name) = named(code, "drop function lavoro.") {
            objects.functions.remove(&name);
        }
        if code.contains("primary key")
            && let Some(table) = &table
        {
            objects.relations.insert(format!("{table}_pkey"), true);
        }
    }
    objects
}

/// The name that follows a beginning.
fn named(line: &str, beginning: &str) -> Option<String> {
    let rest = line.strip_prefix(beginning)?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn objects(facts: &Facts) -> Finding {
    let found = match &facts.objects {
        Err(said) => return OBJECTS.unseen(said),
        Ok(found) => found,
    };
    let expected = expected();
    let count = expected.relations.len() + expected.functions.len();
    if facts.version.as_ref().is_ok_and(|version| *version != facts.latest) {
        return OBJECTS.ok("not compared: the schema is of another version");
    }
    let absent = |want: &BTreeMap<String, bool>, have: &BTreeMap<String, bool>| -> Vec<String> {
        want.keys().filter(|name| !have.contains_key(*name)).cloned().collect()
    };
    let mut missing = absent(&expected.relations, &found.relations);
    missing.extend(absent(&expected.functions, &found.functions));
    let invalid: Vec<_> = found.relations.iter().filter(|(_, ok)| !**ok).map(|(n, _)| n).collect();
    if !missing.is_empty() {
        return OBJECTS.problem(
            format!("missing: {}", some(&missing, String::clone)),
            "make them again: `lavoro migrate --dry-run --schema other` prints the statements of a \
             whole schema",
        );
    }
    if !invalid.is_empty() {
        return OBJECTS.problem(
            format!("not usable: {}", some(&invalid, |name| (*name).clone())),
            "run `reindex index …` for each, or drop those that you made yourself",
        );
    }
    OBJECTS.ok(format!("all {count} tables, views, indexes and functions are there"))
}

fn privileges(facts: &Facts) -> Finding {
    let lacks = match &facts.lacks {
        Err(said) => return PRIVILEGES.unseen(said),
        Ok(lacks) => lacks,
    };
    let role = &facts.server.role;
    if lacks.is_empty() {
        return PRIVILEGES.ok(format!("the role {role} may do everything that a worker does"));
    }
    let may_enqueue = TO_ENQUEUE.iter().all(|(object, needs)| {
        lacks
            .get(*object)
            .is_none_or(|lacks| !needs.iter().any(|need| lacks.iter().any(|l| l == need)))
    });
    let listed: Vec<_> = lacks.iter().collect();
    let listed = some(&listed, |(name, lacks)| format!("{} on {name}", lacks.join(", ")));
    let what = if may_enqueue { "may enqueue, but not run jobs" } else { "may not even enqueue" };
    PRIVILEGES.warning(
        format!("the role {role} {what}: it lacks {listed}"),
        "if it should run jobs, grant it select, insert, update and delete on all tables and usage \
         on all sequences of the schema (docs/sql.md, Rights)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::super::tests::{of, status};

    #[test]
    fn the_migrations_are_read_right() {
        let objects = super::expected();
        for name in ["job", "job_pkey", "ready_order", "lease_worker", "jobs", "tally_pkey"] {
            assert!(objects.relations.contains_key(name), "{name}");
        }
        assert!(!objects.relations.contains_key("ready_pkey"), "ready has no primary key");
        assert!(objects.functions.contains_key("enqueue_unique"));
    }

    #[test]
    fn a_schema_of_another_version_is_a_problem() {
        assert_eq!(status("schema", |f| f.version = Ok(f.latest - 1)), "problem");
        assert_eq!(status("schema", |f| f.version = Ok(f.latest + 1)), "problem");
        assert_eq!(status("schema", |f| f.server.usable = Some(false)), "problem");
        let missing = |f: &mut Facts| (f.server.usable, f.server.migrated) = (None, false);
        assert_eq!(status("schema", missing), "problem");
    }

    #[test]
    fn what_is_missing_or_invalid_is_named() {
        let mut facts = Facts::healthy();
        facts.objects.as_mut().unwrap().relations.insert("ready_order".into(), false);
        assert!(of(&facts, "objects").found.contains("not usable: ready_order"));
        facts.objects.as_mut().unwrap().relations.remove("lease_worker");
        facts.objects.as_mut().unwrap().functions.remove("cancel");
        let finding = of(&facts, "objects");
        assert_eq!(
            (finding.status.as_str(), &*finding.found),
            ("problem", "missing: lease_worker; cancel")
        );
    }

    #[test]
    fn a_role_that_may_only_enqueue_is_told_so() {
        let mut facts = Facts::healthy();
        let lacks = facts.lacks.as_mut().unwrap();
        lacks.insert("job".into(), vec!["select".into(), "delete".into()]);
        let finding = of(&facts, "privileges");
        assert_eq!(finding.status.as_str(), "warning");
        assert!(finding.found.contains("may enqueue"), "{}", finding.found);
        facts.lacks.as_mut().unwrap().insert("ready".into(), vec!["insert".into()]);
        assert!(of(&facts, "privileges").found.contains("may not even enqueue"));
    }
}
