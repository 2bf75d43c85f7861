//! The documents say what is so: their links lead somewhere, their examples run, their tables
//! agree with the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use lavoro_core::{ErrorKind, Job, Lavoro, Worker, limits};
use lavoro_tests::Database;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document that we write, relative to the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["", "docs", "docs/adr", "migrations"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    assert!(found.len() > 10, "documents were not found: {found:?}");
    found.sort();
    found
}

/// The fenced blocks of a document in one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim() == language, String::new())),
            (Some(_), Some(_)) => {
                let (wanted, block) = open.take().unwrap();
                found.extend(wanted.then_some(block));
            }
            (Some((_, block)), None) => block.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// A document without its fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What `[text](target)` links to.
fn links(text: &str) -> Vec<String> {
    let targets = prose(text);
    targets
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
        heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(root().join(&document)).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let own = root().join(&document);
            let target = if path.is_empty() { own } else { own.parent().unwrap().join(path) };
            let found = target.exists()
                && (anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&target).unwrap()).contains(anchor));
            if !found {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links lead nowhere: {broken:#?}");
}

/// Files that documents name in backticks, such as `tests/core/life.rs`, exist.
#[test]
fn files_that_are_named_exist() {
    let mut missing = Vec::new();
    for document in documents() {
        let text = prose(&std::fs::read_to_string(root().join(&document)).unwrap());
        for name in text.split('`').skip(1).step_by(2) {
            let is_source = name.contains('/')
                && [".rs", ".sql", ".md", ".toml"].iter().any(|end| name.ends_with(end))
                && !name.contains(['*', ' ', '<', '{']);
            // In ARCHITECTURE.md files of the core are named from its `src`.
            let places = [root(), root().join("lavoro-core/src")];
            if is_source && !places.iter().any(|place| place.join(name).exists()) {
                missing.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "files do not exist: {missing:#?}");
}

/// They are run by the tests of each language.
#[test]
fn the_examples_are_the_ones_that_are_run() {
    for (language, file) in [
        ("rust", "lavoro-core/examples/quickstart.rs"),
        ("python", "bindings-python/examples/quickstart.py"),
        ("js", "bindings-node/examples/quickstart.mjs"),
    ] {
        let example = read(file);
        let (_, rest) = example.split_once("README begin\n").unwrap();
        let (code, _) = rest.split_once("README end").unwrap();
        let code = code.trim_end_matches(['#', '/', ' ']);
        let readme = blocks(&read("README.md"), language);
        assert_eq!(readme, [code], "README.md and {file} differ");
    }
}

#[test]
fn the_page_on_testing_is_the_example_that_runs_as_tests() {
    let example = read("lavoro-core/examples/testing.rs");
    let begins = example.split("// docs begin\n").skip(1);
    let parts: Vec<&str> = begins.map(|rest| rest.split("// docs end").next().unwrap()).collect();
    // A block of the page stands at the margin.
    let at_margin = |text: &str| {
        let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    let page = blocks(&read("docs/testing.md"), "rust");
    assert!(parts.len() > 3);
    assert_eq!(
        page.iter().map(|block| at_margin(block)).collect::<Vec<_>>(),
        parts.iter().map(|part| at_margin(part)).collect::<Vec<_>>(),
        "docs/testing.md and lavoro-core/examples/testing.rs differ"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_locks_is_the_example_that_runs() {
    let example = read("lavoro-core/examples/locks.rs");
    let begins = example.split("// docs begin\n").skip(1);
    let parts: Vec<&str> = begins.map(|rest| rest.split("// docs end").next().unwrap()).collect();
    let at_margin = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    let page = blocks(&read("docs/locks.md"), "rust");
    let (page, parts): (Vec<_>, Vec<_>) = (
        page.iter().map(|block| at_margin(block)).collect(),
        parts.iter().map(|part| at_margin(part)).collect(),
    );
    assert_eq!(page, parts, "docs/locks.md and lavoro-core/examples/locks.rs differ");
    let database = Database::new().await;
    let url = database.url.clone();
    let run = move || {
        Command::new(built("examples/locks")).env("LAVORO_DATABASE_URL", url).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_page_on_schedules_is_the_example_that_runs() {
    let example = read("lavoro-core/examples/schedules.rs");
    let (_, rest) = example.split_once("// docs begin\n").unwrap();
    let (code, _) = rest.split_once("    // docs end").unwrap();
    let at_margin = |text: &str| text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    let page = blocks(&read("docs/schedules.md"), "rust");
    assert_eq!(page.len(), 1);
    assert_eq!(at_margin(&page[0]), at_margin(code), "docs/schedules.md and the example differ");
}

/// A program that the workspace's build has made beside this test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.is_file(),
        "{} is missing: build the workspace first (cargo build --workspace --bins --examples)",
        path.display()
    );
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_example_runs() {
    let database = Database::new().await;
    let url = database.url.clone();
    let run = move || {
        Command::new(built("examples/quickstart")).env("LAVORO_DATABASE_URL", url).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "Hello, Ada!\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_schedules_runs() {
    let database = Database::new().await;
    let url = database.url.clone();
    let run = move || {
        Command::new(built("examples/schedules")).env("LAVORO_DATABASE_URL", url).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lavoro = database.lavoro().await;
    assert_eq!(lavoro.schedules().await.unwrap().len(), 3);
}

/// Statements run; those with parameters are only prepared, which checks names and types.
async fn run_sql(document: &str) {
    let database = Database::new().await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let blocks = blocks(&read(document), "sql");
    assert!(!blocks.is_empty(), "{document} has no SQL");
    for statement in blocks.iter().flat_map(|block| block.split(';')).map(str::trim) {
        let sql = if statement.contains("$1") {
            format!("prepare parametric as {statement}; deallocate parametric")
        } else {
            statement.to_owned()
        };
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{document}: {error}\n{statement}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sql_examples_run() {
    run_sql("README.md").await;
    run_sql("docs/sql.md").await;
    run_sql("docs/locks.md").await;
    run_sql("docs/schedules.md").await;
}

/// The rights that docs/sql.md gives to a worker's role are enough for one.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_a_worker_suffice() {
    let database = Database::new().await;
    database
        .run(
            "create role docs_worker login;
             grant usage on schema lavoro to docs_worker;
             grant select, insert, update, delete on all tables in schema lavoro to docs_worker;
             grant usage on all sequences in schema lavoro to docs_worker",
        )
        .await;
    let url = database.url.replacen("//lavoro@", "//docs_worker@", 1);
    assert_ne!(url, database.url);
    let lavoro = Lavoro::connect(url).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .handler("echo", |job: Job| async move { job.payload::<i32>() })
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(lavoro_core::NewJob::new("echo", 7)).await.unwrap();
    let result = job.result(lavoro_tests::PATIENCE).await.unwrap();
    assert_eq!(result.value::<i32>().unwrap(), 7);
    job.retry().await.unwrap();
    job.cancel().await.unwrap();
    worker.stop(lavoro_tests::PATIENCE).await;
}

/// A command line of a document: its command words and its options, without what is quoted.
fn words(line: &str) -> (Vec<String>, Vec<String>) {
    let plain: String = line.split('\'').step_by(2).collect();
    let plain = plain.split(" #").next().unwrap();
    let (mut command, mut options) = (Vec::new(), Vec::new());
    for word in plain.split_whitespace().skip(1) {
        if let Some(option) = word.strip_prefix("--") {
            options.push(format!("--{}", option.split('=').next().unwrap()));
        } else if options.is_empty() {
            command.push(word.to_owned());
        }
    }
    (command, options)
}

#[test]
fn commands_and_options_exist() {
    let lavoro = built("lavoro");
    let help = |command: &[String]| {
        let output = Command::new(&lavoro).args(command).arg("--help").output().unwrap();
        assert!(output.status.success(), "lavoro {command:?} --help fails");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut seen = 0;
    for document in documents() {
        let text = std::fs::read_to_string(root().join(&document)).unwrap();
        let inline = prose(&text);
        let inline = inline.split('`').skip(1).step_by(2);
        let shell = blocks(&text, "sh");
        let lines = shell.iter().flat_map(|block| block.lines()).chain(inline);
        for line in lines.filter(|line| line.starts_with("lavoro ")) {
            let (mut command, options) = words(line);
            let Some(first) = command.first() else { continue };
            let two_words = ["jobs", "locks", "queues", "retention", "schedules", "workers"];
            let depth = if two_words.contains(&first.as_str()) { 2 } else { 1 };
            command.truncate(depth);
            let help = help(&command);
            seen += 1;
            for option in options {
                let known = help.contains(&option);
                assert!(known, "{}: {line}: there is no {option}", document.display());
            }
        }
    }
    assert!(seen > 5, "no command lines were found");
}

/// The lines of a table that name something in backticks.
fn rows<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!("`{name}`");
    text.lines().filter(|line| line.starts_with('|') && line.contains(&name)).collect()
}

#[test]
fn every_error_code_is_listed_and_no_other() {
    let text = read("docs/limits.md");
    for kind in ErrorKind::ALL {
        let row = format!("| `{}` | {} |", kind.code(), kind.sqlstate());
        assert!(text.contains(&row), "docs/limits.md lacks {row}");
    }
    let listed = text.lines().filter(|line| line.contains("| LV")).count();
    assert_eq!(listed, ErrorKind::ALL.len());
}

#[test]
fn every_limit_is_listed_as_it_is() {
    let text = read("docs/limits.md");
    let days = |time: std::time::Duration| time.as_secs() / 86_400;
    let expected = [
        ("NAME_BYTES", limits::NAME_BYTES.to_string()),
        ("UNIQUE_KEY_BYTES", limits::UNIQUE_KEY_BYTES.to_string()),
        ("PAYLOAD_BYTES", limits::PAYLOAD_BYTES.to_string()),
        ("METADATA_BYTES", limits::METADATA_BYTES.to_string()),
        ("RESULT_BYTES", limits::RESULT_BYTES.to_string()),
        ("ERROR_BYTES", limits::ERROR_BYTES.to_string()),
        ("PROGRESS_BYTES", limits::PROGRESS_BYTES.to_string()),
        ("PROGRESS_DATA_BYTES", limits::PROGRESS_DATA_BYTES.to_string()),
        ("CHECKPOINT_BYTES", limits::CHECKPOINT_BYTES.to_string()),
        ("LOG_LINES", limits::LOG_LINES.to_string()),
        ("LOG_LINE_BYTES", limits::LOG_LINE_BYTES.to_string()),
        ("JSON_DEPTH", limits::JSON_DEPTH.to_string()),
        ("JSON_NUMBER", limits::JSON_NUMBER.to_string()),
        ("MAX_ATTEMPTS", limits::MAX_ATTEMPTS.end().to_string()),
        ("TAGS", limits::TAGS.to_string()),
        ("TIMEOUT", format!("{} days", days(*limits::TIMEOUT.end()))),
        ("DELAY", format!("{} days", days(limits::DELAY))),
        ("RETENTION", format!("{} days", days(limits::RETENTION))),
        ("RUN_AT_YEARS", limits::RUN_AT_YEARS.end().to_string()),
        ("LOCK_LIFETIME", format!("{} hours", limits::LOCK_LIFETIME.end().as_secs() / 3600)),
        ("LOCK_WAIT", format!("{} hours", limits::LOCK_WAIT.end().as_secs() / 3600)),
        ("PAGE", limits::PAGE.end().to_string()),
        ("CONCURRENCY", limits::CONCURRENCY.end().to_string()),
        ("WEIGHT", limits::WEIGHT.end().to_string()),
        ("WINDOW", format!("{} hours", limits::WINDOW.end().as_secs() / 3600)),
        ("JITTER", format!("{} hours", limits::JITTER.as_secs() / 3600)),
        ("MISSED_JOBS", limits::MISSED_JOBS.end().to_string()),
        ("SCHEMA_BYTES", limits::SCHEMA_BYTES.to_string()),
        ("WINDOW", format!("{} hours", limits::WINDOW.end().as_secs() / 3600)),
    ];
    let declared: Vec<String> = read("lavoro-core/src/limits.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .map(|rest| rest.split(':').next().unwrap().to_owned())
        .collect();
    let named: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    for name in &declared {
        assert!(named.contains(&name.as_str()), "this test does not know the limit {name}");
    }
    for (name, value) in &expected {
        let rows = rows(&text, name);
        assert!(!rows.is_empty(), "docs/limits.md lacks {name}");
        assert!(rows.iter().all(|row| row.contains(value)), "{name} is {value}: {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_of_the_doctor_is_listed_and_no_other() {
    let text = read("docs/operations.md");
    let lavoro = Database::new().await.lavoro().await;
    let findings = lavoro.diagnose().await.unwrap();
    for finding in &findings {
        assert!(
            !rows(&text, finding.check).is_empty(),
            "docs/operations.md lacks {}",
            finding.check
        );
    }
    let (_, table) = text.split_once("| check | warning | problem |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let checks = table.lines().filter_map(|line| line.split('|').nth(1));
    let listed: usize = checks.map(|cell| cell.matches('`').count() / 2).sum();
    assert_eq!(listed, findings.len());
}

#[test]
fn the_architecture_names_every_module_and_table() {
    let text = read("ARCHITECTURE.md");
    for entry in std::fs::read_dir(root().join("lavoro-core/src")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_named = module == "lib" || !rows(&text, &module).is_empty();
        assert!(is_named, "ARCHITECTURE.md lacks the module {module}");
    }
    for line in read("migrations/sql/0001_tables.sql").lines() {
        let Some(rest) = line.strip_prefix("create table lavoro.") else { continue };
        let table = rest.split_whitespace().next().unwrap();
        assert!(!rows(&text, table).is_empty(), "ARCHITECTURE.md lacks the table {table}");
    }
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/adr/README.md");
    for document in documents().iter().filter(|path| path.starts_with("docs/adr")) {
        let name = document.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name}");
    }
}
