//! The schema of Lavoro: ordered migrations, with the schema's name filled in.
//!
//! The files are valid SQL for the default schema `lavoro`. [`render`] fills in another name.

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order, from 1 without gaps.
    pub version: i32,
    /// What it is about, in one word.
    pub name: &'static str,
    /// Its statements, for the schema `lavoro`.
    pub sql: &'static str,
}

/// Lists migrations in order; their numbers come from their places.
macro_rules! migrations {
    ($($version:literal $name:literal,)*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../sql/000", $version, "_", $name, ".sql")),
        },)*]
    };
}

/// Every migration, oldest first.
pub const MIGRATIONS: &[Migration] = migrations! {
    1 "tables",
    2 "checks",
    3 "enqueue",
    4 "lifecycle",
    5 "admin",
    6 "view",
    7 "bulk",
    8 "locks",
    9 "schedules",
};

/// The version that a database has once all of [`MIGRATIONS`] are applied.
pub const LATEST: i32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// The schema's name unless another is configured.
pub const DEFAULT_SCHEMA: &str = "lavoro";

/// Keeps the record of what has been applied. Runs before every migration.
pub const RECORD: &str = include_str!("../sql/record.sql");

/// Removes everything that [`MIGRATIONS`] made.
pub const UNINSTALL: &str = include_str!("../sql/uninstall.sql");

/// Fills a schema's name into SQL that was written for `lavoro`: before a dot, at the start of a
/// literal (`nextval('lavoro.…')`), and where it stands alone behind the mark `/*schema*/`.
#[must_use]
pub fn render(sql: &str, schema: &str) -> String {
    let quoted = quote(schema);
    let literal = quoted.replace('\'', "''");
    // By marks, so that a name that holds `lavoro.` itself is filled in once.
    sql.replace("/*schema*/lavoro", "\u{1}")
        .replace("'lavoro.", "'\u{2}.")
        .replace("lavoro.", "\u{1}.")
        .replace('\u{1}', &quoted)
        .replace('\u{2}', &literal)
}

/// Quotes an identifier.
#[must_use]
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_one_without_gaps() {
        for (place, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version), Ok(place + 1), "{}", migration.name);
        }
    }

    #[test]
    fn a_schema_name_is_filled_in_quoted() {
        let sql = "select lavoro.f() -- /*schema*/lavoro, pg_temp";
        assert_eq!(render(sql, "a\"b"), "select \"a\"\"b\".f() -- \"a\"\"b\", pg_temp");
        assert_eq!(render("nextval('lavoro.s')", "a'b"), "nextval('\"a''b\".s')");
        assert_eq!(
            render("lavoro.t, /*schema*/lavoro", "lavoro.x"),
            "\"lavoro.x\".t, \"lavoro.x\""
        );
    }
}
