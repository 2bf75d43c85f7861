//! The layers of `lavoro-core` depend on each other in one direction only.

#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::path::{Path, PathBuf};

/// What each module of the core may use. `error` is used by all; what is not listed here does
/// not exist.
const ALLOWED: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &[]),
    ("limits", &[]),
    ("embedded", &[]),
    ("signal", &[]),
    ("json", &["limits"]),
    ("retention", &["limits"]),
    ("retry", &[]),
    ("outcome", &["json", "limits"]),
    ("notes", &["json", "limits"]),
    ("histogram", &[]),
    ("metrics", &["histogram"]),
    ("doctor", &[]),
    ("trace", &["json", "limits"]),
    ("job", &["json", "limits", "notes", "retry", "signal", "trace"]),
    ("event", &["job", "outcome"]),
    ("new_job", &["job", "json", "limits", "retry", "trace"]),
    ("options", &["job", "limits", "retry"]),
    ("schedule", &["job", "json", "limits", "new_job"]),
    ("runtime", &[]),
    ("sabotage", &[]),
    ("service", &[]),
    ("job_edit", &["json", "limits", "new_job"]),
    ("fleet", &[]),
    ("statistics", &["fleet", "histogram", "metrics"]),
    ("why", &["fleet", "job"]),
    (
        "store",
        &[
            "doctor",
            "fleet",
            "histogram",
            "job",
            "job_edit",
            "json",
            "new_job",
            "notes",
            "outcome",
            "retention",
            "retry",
            "sabotage",
            "schedule",
            "signal",
            "statistics",
            "why",
        ],
    ),
    ("lock", &["clock", "service", "store"]),
    ("maintenance", &["clock", "options", "outcome", "retention", "sabotage", "service", "store"]),
    (
        "client",
        &[
            "doctor",
            "embedded",
            "fleet",
            "job",
            "job_edit",
            "json",
            "limits",
            "lock",
            "maintenance",
            "new_job",
            "notes",
            "options",
            "retention",
            "runtime",
            "schedule",
            "service",
            "statistics",
            "store",
            "why",
        ],
    ),
    (
        "worker",
        &[
            "client",
            "clock",
            "event",
            "histogram",
            "job",
            "json",
            "limits",
            "maintenance",
            "metrics",
            "notes",
            "options",
            "outcome",
            "retry",
            "runtime",
            "sabotage",
            "service",
            "signal",
            "store",
            "trace",
        ],
    ),
    ("testing", &["client", "job", "new_job", "options", "outcome", "store", "worker"]),
];

/// Modules that know neither tokio's runtime nor the database.
const PURE: &[&str] = &[
    "doctor",
    "error",
    "event",
    "fleet",
    "histogram",
    "job",
    "job_edit",
    "json",
    "limits",
    "metrics",
    "new_job",
    "options",
    "outcome",
    "retention",
    "retry",
    "schedule",
    "statistics",
    "why",
];

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lavoro-core/src")
}

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.flat_map(|path| sources(&path)).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files
}

/// The modules with their source files.
fn modules() -> Vec<(String, Vec<PathBuf>)> {
    let entries = std::fs::read_dir(core()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), sources(&path)))
        .filter(|(name, _)| name != "lib")
        .collect()
}

/// The modules that a source file names as `crate::module`.
fn uses(source: &str) -> Vec<&str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .collect()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    for (module, files) in modules() {
        let allowed = ALLOWED.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| {
            unreachable!("module {module} has no place among the layers: give it one in ALLOWED")
        });
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            for used in uses(&source) {
                let is_type = used.starts_with(char::is_uppercase); // re-exported errors
                let fine = is_type || used == module || used == "error" || allowed.contains(&used);
                assert!(fine, "{} uses crate::{used}", file.display());
            }
        }
    }
}

/// Whoever builds Lavoro gets none of the mutants unless a test asks for them.
#[test]
fn only_tests_turn_sabotage_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifests = [
        ("Cargo.toml", ""),
        ("lavoro-core/Cargo.toml", "sabotage = []"),
        ("lavoro-cli/Cargo.toml", ""),
        ("benches/Cargo.toml", ""),
        ("examples/demo/Cargo.toml", ""),
        ("tests/Cargo.toml", "sabotage = [\"lavoro-core/sabotage\"]"),
    ];
    for (manifest, expected) in manifests {
        let text = std::fs::read_to_string(root.join(manifest)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let named: Vec<_> = lines.filter(|line| line.contains("sabotage")).collect();
        assert_eq!(named.join("\n"), expected, "{manifest}: it must stay an option of tests");
    }
}

#[test]
fn pure_modules_know_no_runtime_and_no_database() {
    for (module, files) in modules().into_iter().filter(|(name, _)| PURE.contains(&name.as_str())) {
        for file in files {
            let source = std::fs::read_to_string(&file).unwrap();
            assert!(!source.contains("sqlx::") && !source.contains("tokio::"), "{module}");
        }
    }
}

#[test]
fn only_the_store_speaks_sql() {
    let verbs = ["select ", "insert into ", "delete from ", "update lavoro"];
    for (module, files) in modules().into_iter().filter(|(name, _)| name != "store") {
        // Mutants replace clauses of statements by others.
        let is_exempt = ["embedded", "sabotage"].contains(&module.as_str());
        for file in files.iter().filter(|_| !is_exempt) {
            let source = std::fs::read_to_string(file).unwrap();
            let found = verbs.iter().find(|verb| source.contains(&format!("\"{verb}")));
            assert!(found.is_none(), "{} holds SQL", file.display());
        }
    }
}

#[test]
fn each_file_holds_one_statement_that_names_its_columns() {
    let sql = sources_of_sql(&core().join("store/sql"));
    assert!(sql.len() > 20);
    for (path, text) in sql {
        assert!(!text.to_lowercase().contains("select *"), "{}", path.display());
        assert!(text.starts_with("-- "), "{} does not say what it is for", path.display());
        let code = text.lines().filter_map(|line| line.split("--").next());
        assert!(!code.into_iter().any(|line| line.contains(';')), "{}", path.display());
    }
}

fn sources_of_sql(path: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}
