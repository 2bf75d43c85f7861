//! One attempt: a job's payload through a shell command.

use super::group::{Groups, Leader};
use super::pipes::{self, Head, Tail};
use lavoro_core::limits::ERROR_BYTES;
use lavoro_core::{Failure, FailureKind, Job, Outcome, StopReason};
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// How much of stdout is kept.
const STDOUT_BYTES: usize = 2 << 20;
/// How long pipes may stay open after the command has exited, if another process holds them.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// `EX_DATAERR` of sysexits.h: the job can never succeed.
const FOR_GOOD: i32 = 65;
/// `EX_TEMPFAIL` of sysexits.h: not now.
const NOT_NOW: i32 = 75;
/// How long "not now" is.
const SNOOZE: Duration = Duration::from_secs(30);

/// Runs a job. The future may be dropped at any time: the command then ends soon.
pub(super) async fn run(command: Arc<str>, job: Job, groups: Arc<Groups>) -> Outcome {
    tracing::info!(job = job.id(), task = job.task(), attempt = job.attempt(), "started");
    let mut diary = Diary { job: job.clone(), since: Instant::now(), ended: None };
    let outcome = match groups.start(|| start(&command, &job)) {
        Ok(leader) => attend(leader, &job).await,
        Err(error) => Outcome::retry(format!("the command cannot be started: {error}")),
    };
    diary.ended = Some(name(&outcome));
    outcome
}

fn start(command: &str, job: &Job) -> std::io::Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("LAVORO_JOB_ID", job.id().to_string())
        .env("LAVORO_JOB_TOKEN", job.token().to_string())
        .env("LAVORO_TASK", job.task())
        .env("LAVORO_QUEUE", job.queue())
        .env("LAVORO_ATTEMPT", job.attempt().to_string())
        .env("LAVORO_MAX_ATTEMPTS", job.max_attempts().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Feeds a command, reads what it says, and waits for its end; all at once, since each may wait
/// for another.
async fn attend(mut leader: Leader, job: &Job) -> Outcome {
    let Some(child) = leader.child() else { return Outcome::retry("the command was lost") };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read all of it.
            let _ = stdin.write_all(job.payload_json().as_bytes()).await;
        }
    };
    let (mut said, mut complained) = (Head::new(STDOUT_BYTES), Tail::new(ERROR_BYTES));
    let status = {
        let talk = async {
            tokio::join!(feed, pipes::read(stdout, &mut said), pipes::read(stderr, &mut complained))
        };
        let ended = leader.wait(told(job));
        tokio::pin!(talk, ended);
        tokio::select! {
            status = &mut ended => {
                if tokio::time::timeout(LINGER, talk).await.is_err() {
                    tracing::warn!(job = job.id(), "killing what the command has left running");
                }
                status
            }
            _ = &mut talk => ended.await,
        }
    };
    leader.clean_up();
    match status {
        Ok(status) => judge(status, &said.text(), &mut complained),
        Err(error) => Outcome::retry(format!("the command's end is not known: {error}")),
    }
}

/// Waits until the worker's limit for a stop is reached. Every other reason to stop drops the
/// attempt: nobody waits for its outcome.
async fn told(job: &Job) {
    if job.stopped().await != StopReason::Shutdown {
        std::future::pending::<()>().await;
    }
}

/// What a command's end means for its job.
fn judge(status: ExitStatus, said: &str, complained: &mut Tail) -> Outcome {
    if status.success() {
        return complete(said.trim());
    }
    if status.code() == Some(NOT_NOW) {
        return Outcome::snooze(SNOOZE);
    }
    let (kind, mut message) = match (status.code(), status.signal()) {
        (Some(code), _) => (FailureKind::Failed, format!("the command exited with code {code}")),
        (None, Some(number)) => {
            let name = Signal::try_from(number).map_or("", Signal::as_str);
            (FailureKind::Panicked, format!("the command was killed by signal {number} {name}"))
        }
        (None, None) => (FailureKind::Failed, format!("the command failed: {status}")),
    };
    let tail = complained.text(ERROR_BYTES - message.len() - 1);
    if !tail.trim().is_empty() {
        message = format!("{}\n{}", message.trim_end(), tail.trim_end());
    }
    let failure = Failure::new(kind, message);
    match status.code() {
        Some(FOR_GOOD) => Outcome::Fail { failure },
        _ => Outcome::Retry { failure, delay: None },
    }
}

/// JSON on stdout is the result; other text becomes a string.
fn complete(said: &str) -> Outcome {
    if said.is_empty() {
        Outcome::complete()
    } else if serde_json::from_str::<serde::de::IgnoredAny>(said).is_ok() {
        Outcome::complete_with_json(said)
    } else {
        Outcome::complete_with_json(&serde_json::Value::from(said).to_string())
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Complete { .. } => "completed",
        Outcome::Retry { .. } => "failed",
        Outcome::Snooze { .. } => "snoozed",
        Outcome::Cancel { .. } => "cancelled",
        Outcome::Fail { .. } => "failed for good",
        Outcome::Release => "handed back",
    }
}

/// Logs the end of an attempt, also if its future is dropped. Never what the job holds or says.
struct Diary {
    job: Job,
    since: Instant,
    ended: Option<&'static str>,
}

impl Drop for Diary {
    fn drop(&mut self) {
        let stopped = || match self.job.stop_reason() {
            Some(StopReason::Cancelled) => "stopped: cancelled",
            Some(StopReason::Timeout) => "stopped: its timeout is over",
            Some(StopReason::LostContact) => "stopped: no contact with the database",
            Some(StopReason::LostLease) => "stopped: another worker has the job",
            Some(StopReason::Shutdown) | None => "stopped: the worker stops",
        };
        let ended = self.ended.unwrap_or_else(stopped);
        let ms = self.since.elapsed().as_millis();
        let (job, task) = (self.job.id(), self.job.task());
        tracing::info!(job, task, attempt = self.job.attempt(), ms, "{ended}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lavoro_core::Outcome;

    fn judged(wait_status: i32, stderr: &[u8]) -> Outcome {
        let mut tail = Tail::new(ERROR_BYTES);
        pipes::Keep::keep(&mut tail, stderr);
        judge(ExitStatus::from_raw(wait_status), "", &mut tail)
    }

    #[test]
    fn exit_codes_decide() {
        assert_eq!(judged(0, b"noise"), Outcome::complete());
        assert_eq!(judged(75 << 8, b""), Outcome::snooze(SNOOZE));
        assert!(matches!(judged(65 << 8, b"bad"), Outcome::Fail { failure }
            if failure.message() == "the command exited with code 65\nbad"));
        assert!(matches!(judged(3 << 8, b"ugh\n"), Outcome::Retry { failure, delay: None }
            if failure.message() == "the command exited with code 3\nugh"));
        assert!(matches!(judged(9, b""), Outcome::Retry { failure, .. }
            if failure.kind() == FailureKind::Panicked
            && failure.message() == "the command was killed by signal 9 SIGKILL"));
    }

    #[test]
    fn the_end_of_stderr_survives() {
        let noise = [&b"x".repeat(100_000)[..], b"the reason\n"].concat();
        let Outcome::Retry { failure, .. } = judged(1 << 8, &noise) else { panic!("retry") };
        assert!(failure.message().len() <= ERROR_BYTES);
        assert!(failure.message().starts_with("the command exited with code 1\nxxx"));
        assert!(failure.message().ends_with("xxxthe reason"));
    }

    #[test]
    fn json_is_kept_as_json_and_text_as_a_string() {
        let json = |said| match complete(said) {
            Outcome::Complete { result } => result.map(|json| json.as_str().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(json(""), None);
        assert_eq!(json("[1]").as_deref(), Some("[1]"));
        assert_eq!(json("it's \"done\"").as_deref(), Some(r#""it's \"done\"""#));
        assert_eq!(json("{} {}").as_deref(), Some(r#""{} {}""#));
    }
}
