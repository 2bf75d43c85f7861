//! Outages of the database: nobody is taken for dead who could not be heard, and a worker that
//! cannot be heard gives its jobs up before others take them.

use lavoro_core::embedded::{Embedded, EmbeddedOptions};
use lavoro_core::{
    ConnectOptions, Finish, JobState, Lavoro, NewJob, Outcome, PullWorker, StopReason, Verdict,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, Proxy, Quick as _, quick, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

/// A server that a test may freeze and crash, with two clients.
struct Rig {
    server: Embedded,
    lavoro: Lavoro,
    /// Another process's reaper.
    reaper: Lavoro,
}

impl Rig {
    async fn new() -> Self {
        let start = || Embedded::start(EmbeddedOptions::memory());
        let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
        let options =
            || ConnectOptions { migrate: Some(true), ..ConnectOptions::url(server.url()) };
        let lavoro = Lavoro::connect_with(options()).await.unwrap();
        let reaper = ConnectOptions { maintenance: true, timing: quick(), ..options() };
        let reaper = Lavoro::connect_with(reaper).await.unwrap();
        Self { server, lavoro, reaper }
    }

    /// Sends a signal to the server and all its backends but one.
    fn signal_but(&self, spared: Option<u32>, signal: Signal) {
        let postmaster = self.server.server_pid().unwrap();
        for pid in std::iter::once(postmaster).chain(children(postmaster)) {
            if spared != Some(pid) {
                send(pid, signal);
            }
        }
    }

    /// The backend that serves the worker's heartbeat.
    async fn heartbeat_backend(&self) -> u32 {
        let pool = sqlx::PgPool::connect(&self.server.url()).await.unwrap();
        let sql = "select pid from pg_stat_activity where query like '-- Shows that worker%'";
        let pid: i32 = wait_for("a heartbeat", async || {
            sqlx::query_scalar(sql).fetch_optional(&pool).await.unwrap()
        })
        .await;
        pool.close().await;
        pid.cast_unsigned()
    }

    /// Nothing answers for this long.
    async fn freeze(&self, outage: Duration) {
        self.signal_but(None, Signal::SIGSTOP);
        pass(outage).await;
        self.signal_but(None, Signal::SIGCONT);
    }
}

fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

/// Lets time pass that is itself what a test is about.
async fn pass(time: Duration) {
    let began = Instant::now();
    wait_for("time to pass", async || (began.elapsed() > time).then_some(())).await;
}

fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let list = std::fs::read_to_string(path).unwrap();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn options(continuing: bool) -> WorkerOptions {
    WorkerOptions {
        tasks: vec!["t".to_owned()],
        continue_on_lost_contact: if continuing { vec!["t".to_owned()] } else { Vec::new() },
        timing: quick(),
        maintenance: false,
        ..WorkerOptions::default()
    }
}

/// A hung database for two leases, with a reaper that hangs as well: when it is over, the
/// reaper must hear the worker before it judges.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_two_leases_reaps_nobody() {
    let rig = Rig::new().await;
    let worker = PullWorker::start(&rig.lavoro, options(true)).await.unwrap();
    let handle = rig.lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    // The reaper is served again well before the worker's heartbeat is.
    let heartbeat = rig.heartbeat_backend().await;
    rig.signal_but(None, Signal::SIGSTOP);
    pass(2 * quick().lease).await;
    rig.signal_but(Some(heartbeat), Signal::SIGCONT);
    pass(quick().lease / 2).await;
    send(heartbeat, Signal::SIGCONT);
    // Another lease in which a wrong judgement would be carried out.
    pass(quick().lease).await;
    let info = handle.info().await.unwrap();
    assert_eq!((info.state, info.errors.len()), (JobState::Running, 0), "{info:?}");
    assert_eq!(job.stop_reason(), None, "the handler was to run on");
    let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![done]).await, [Verdict::Accepted]);
    worker.stop(LONG).await;
    rig.reaper.close().await;
}

/// Without contact for nearly a lease, a worker tells its handlers to stop. Their attempts are
/// not counted, and the jobs run again when contact is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_contact_gives_its_jobs_up_uncounted() {
    let rig = Rig::new().await;
    let worker = PullWorker::start(&rig.lavoro, options(false)).await.unwrap();
    let handle = rig.lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    let outage = rig.freeze(2 * quick().lease);
    let stopped = async {
        let told = tokio::time::timeout(lavoro_tests::patience(), job.stopped()).await;
        let reason = told.expect("the handler is told to stop");
        let failed = Outcome::retry("the handler was interrupted");
        (
            reason,
            worker
                .finish(vec![Finish { job: job.id(), token: job.token(), outcome: failed }])
                .await,
        )
    };
    let ((), (reason, verdict)) = tokio::join!(outage, stopped);
    assert_eq!((reason, verdict), (StopReason::LostContact, vec![Verdict::Accepted]));
    let again = worker.next_jobs(1).await.remove(0);
    assert_eq!((again.id(), again.attempt()), (handle.id(), 1), "the attempt was not counted");
    assert_ne!(again.token(), job.token());
    let done = Finish { job: again.id(), token: again.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![done]).await, [Verdict::Accepted]);
    assert!(handle.info().await.unwrap().errors.is_empty());
    worker.stop(LONG).await;
    rig.reaper.close().await;
}

/// The server is crashed again and again while jobs are enqueued and run: acknowledged jobs are
/// there, none twice, and all run.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_of_the_server_lose_nothing_that_was_acknowledged() {
    // This server keeps its data like one in production: fsync is on.
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions::persistent(directory.path().join(".lavoro"));
    let start = move || Embedded::start(options);
    let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let connect = ConnectOptions { migrate: Some(true), ..ConnectOptions::url(server.url()) };
    let lavoro = Lavoro::connect_with(connect).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .queue("default", 20)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let producer = {
        let lavoro = lavoro.clone();
        tokio::spawn(async move {
            let mut jobs = Vec::new();
            for n in 0..2000 {
                jobs.push(lavoro.enqueue(NewJob::new("t", n)).await.unwrap());
            }
            jobs
        })
    };
    for _ in 0..3 {
        let old = server.server_pid();
        let ids = || async {
            lavoro.jobs(lavoro_core::JobFilter { limit: 1, ..Default::default() }).await
        };
        let before =
            wait_for("jobs", async || ids().await.ok()?.jobs.first().map(|job| job.id)).await;
        kill(Pid::from_raw(old.unwrap().cast_signed()), Signal::SIGQUIT).unwrap();
        wait_for("the server to be back", async || {
            (server.server_pid() != old).then_some(())?;
            (ids().await.ok()?.jobs.first()?.id > before || producer.is_finished()).then_some(())
        })
        .await;
    }
    let jobs = producer.await.unwrap();
    for job in &jobs {
        assert_eq!(job.result(lavoro_tests::patience()).await.unwrap().state, JobState::Completed);
    }
    let ids: std::collections::HashSet<_> = jobs.iter().map(lavoro_core::JobHandle::id).collect();
    assert_eq!(ids.len(), 2000);
    let filter = lavoro_core::JobFilter { limit: 5000, ..Default::default() };
    assert_eq!(lavoro.jobs(filter).await.unwrap().jobs.len(), 2000, "no enqueue was applied twice");
    worker.stop(LONG).await;
}

/// A suspect on its last attempt is rescued, and so discarded, while its worker cannot be heard.
/// That its worker completed it is learnt too late, and refused, though the outcome that stands
/// there began with the very same attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_completion_after_the_rescue_has_discarded_the_job_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let proxy = Proxy::start(&database.url).await;
    let away = Lavoro::connect(proxy.url()).await.unwrap();
    let handle = lavoro.enqueue(NewJob::new("t", 1).max_attempts(1)).await.unwrap();
    database.run("update lavoro.ready set suspect = true").await;
    let options = WorkerOptions {
        tasks: vec!["t".to_owned()],
        timing: quick(),
        maintenance: false,
        ..WorkerOptions::default()
    };
    let worker = Arc::new(PullWorker::start(&away, options).await.unwrap());
    let job = worker.next_jobs(1).await.remove(0);
    assert!(job.is_suspect());
    proxy.refuse(true);
    proxy.cut();
    let options =
        ConnectOptions { maintenance: true, timing: quick(), ..ConnectOptions::url(&database.url) };
    let reaper = Lavoro::connect_with(options).await.unwrap();
    assert_eq!(handle.result(LONG).await.unwrap().state, JobState::Discarded);
    let finish = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    let late = Arc::clone(&worker);
    let verdict = tokio::spawn(async move { late.finish(vec![finish]).await });
    proxy.refuse(false);
    assert_eq!(verdict.await.unwrap(), [Verdict::Stale]);
    assert_eq!(handle.info().await.unwrap().state, JobState::Discarded);
    worker.stop(LONG).await;
    reaper.close().await;
    database.assert_sound().await;
}
