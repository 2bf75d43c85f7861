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

/// Definitions that replace the schema's own functions: each with one clause changed.
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
        (
            Mutant::RetryKeepsLease,
            "retry",
            "where retry.job_id = any (l.jobs)",
            "where false and retry.job_id = any (l.jobs)",
        ),
        (
            Mutant::TxCompleteWithoutLock,
            "complete",
            "    perform 1 from lavoro.job j where j.id = complete.job_id for no key update;\n",
            "",
        ),
    ];
    let swaps = swaps.into_iter().filter(|(mutant, ..)| is(*mutant));
    swaps.map(|(_, name, clause, by)| swapped(&definition(name), clause, by)).collect()
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
