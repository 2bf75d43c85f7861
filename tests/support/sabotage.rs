//! The statements and functions under test. With the feature `sabotage`, the mutant that
//! `LAVORO_SABOTAGE` names is put into them.

use sqlx::AssertSqlSafe;
use std::path::Path;

/// One of the engine's own statements, for the default schema, by the name of its file.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn statement(name: &str) -> AssertSqlSafe<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lavoro-core/src/store/sql");
    let text = std::fs::read_to_string(directory.join(format!("{name}.sql"))).unwrap();
    #[cfg(feature = "sabotage")]
    let text = lavoro_core::sabotage::altered(name, &text).into_owned();
    AssertSqlSafe(text)
}

/// Definitions that replace the schema's own functions.
#[cfg(not(feature = "sabotage"))]
pub(crate) fn functions() -> Vec<String> {
    Vec::new()
}

/// What `lavoro.fire` does about slots that have been decided on.
#[cfg(feature = "sabotage")]
const UNIQUE_SLOT: &str = "        on conflict on constraint slot_pkey do update
        set decided_at = excluded.decided_at, decision = excluded.decision, reason = excluded.reason,
            job_id = excluded.job_id
        where s.decision = 'queued'\n";

/// Definitions that replace the schema's own functions, each with clauses changed, and what else is
/// changed in the schema.
#[cfg(feature = "sabotage")]
pub(crate) fn functions() -> Vec<String> {
    use lavoro_core::sabotage::{Mutant, is, swapped};
    let swaps = [
        (
            Mutant::CancelLosesPack,
            "withdraw",
            "j.priority, p.bytes * cardinality(p.rest), p.attempt, p.suspect, j.queue,\n                   \
             j.task, p.rest\n            where cardinality(p.rest) > 0",
            "j.priority, p.bytes * cardinality(p.rest), p.attempt, p.suspect, j.queue,\n                   \
             j.task, p.rest\n            where false",
        ),
        (
            Mutant::ExpireRunning,
            "expire",
            "if held.attempts is null then\n        return false;\n    elsif held.attempts > 0",
            "if held.attempts > 0",
        ),
        (Mutant::FireUnguarded, "fire", UNIQUE_SLOT, ""),
        (
            Mutant::LockIgnoresLease,
            "lock_take",
            "        if holder is null or until <= clock_timestamp() then\n            begin",
            "        if true then\n            begin",
        ),
        (
            Mutant::LockIgnoresLease,
            "lock_take",
            "elsif holder is null or until <= clock_timestamp() then",
            "else",
        ),
        (
            Mutant::RetryKeepsLease,
            "retry",
            "where retry.job_id = any (l.jobs)",
            "where false and retry.job_id = any (l.jobs)",
        ),
        (Mutant::SlotTwice, "fire", UNIQUE_SLOT, ""),
        (
            Mutant::TxCompleteWithoutLock,
            "complete",
            "    perform 1 from lavoro.job j where j.id = complete.job_id for no key update;\n",
            "",
        ),
    ];
    let mut texts = std::collections::BTreeMap::new();
    for (_, name, clause, by) in swaps.into_iter().filter(|(mutant, ..)| is(*mutant)) {
        let text: &mut String = texts.entry(name).or_insert_with(|| definition(name));
        *text = swapped(text, clause, by);
    }
    let mut all: Vec<String> = texts.into_values().collect();
    if is(Mutant::SlotTwice) || is(Mutant::FireUnguarded) {
        let index = "create index slot_twice on lavoro.slot (schedule_id, slot)";
        all.push(format!("alter table lavoro.slot drop constraint slot_pkey; {index}"));
    }
    all
}

/// `create or replace function` with the body that the migrations give it.
#[cfg(feature = "sabotage")]
fn definition(function: &str) -> String {
    let head = format!("create function lavoro.{function}(");
    let migrations = lavoro_migrations::MIGRATIONS.iter();
    let sql = migrations.map(|migration| migration.sql).find(|sql| sql.contains(&head)).unwrap();
    let text = &sql[sql.find(&head).unwrap()..];
    let end = text.find("\n$$;").unwrap() + "\n$$;".len();
    text[..end].replacen("create function", "create or replace function", 1)
}
