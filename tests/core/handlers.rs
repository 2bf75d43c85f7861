//! What Rust handlers are promised: middleware, batches, backoff, time to stop.

use lavoro_core::{
    Backoff, Error, ErrorKind, Failure, FailureKind, Finish, Job, JobInfo, JobState, Lavoro,
    NewJob, Next, Outcome, PullWorker, StopReason, Verdict, Worker, WorkerOptions,
};
use lavoro_tests::{Database, PATIENCE, Quick as _, quick, wait_for};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Log = Arc<Mutex<Vec<String>>>;

async fn in_state(lavoro: &Lavoro, id: i64, state: JobState) -> JobInfo {
    wait_for(&format!("job {id} to be {state}"), async || {
        Some(lavoro.job(id).info().await.unwrap()).filter(|info| info.state == state)
    })
    .await
}

/// How long a job waits between its last failure and its next attempt.
fn delay(info: &JobInfo) -> Duration {
    (info.run_at - info.errors.last().unwrap().failed_at).to_std().unwrap()
}

fn assert_delay(info: &JobInfo, seconds: u64) {
    let (got, wanted) = (delay(info), Duration::from_secs(seconds));
    let close = got.abs_diff(wanted) < Duration::from_secs(1);
    assert!(close, "job {} of {:?} waits {got:?}, not {wanted:?}", info.id, info.task);
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_may_exit_early_with_any_outcome() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("outcome", |_| async { Ok::<_, Error>(Outcome::cancel("not wanted")) })
        .handler("early", |job: Job| async move {
            let n: u8 = job.payload()?; // an error of the core
            let digit: u8 = "x".repeat(n.into()).parse()?; // and one of std
            if n == 0 { Err(Outcome::snooze(Duration::from_hours(1))) } else { Ok(digit) }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let cancelled = lavoro.enqueue(NewJob::new("outcome", 1)).await.unwrap();
    assert_eq!(cancelled.result(PATIENCE).await.unwrap().state, JobState::Cancelled);
    assert_eq!(cancelled.info().await.unwrap().errors[0].message, "not wanted");
    for payload in ["\"no number\"", "3"] {
        let job = NewJob::from_json("early", payload).max_attempts(1);
        let failed = lavoro.enqueue(job).await.unwrap();
        assert_eq!(failed.result(PATIENCE).await.unwrap().state, JobState::Discarded);
    }
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

fn around(
    log: &Log,
    name: &'static str,
) -> impl Fn(Job, Next) -> futures::Boxed + Send + Sync + 'static {
    let log = Arc::clone(log);
    move |job, next| {
        let log = Arc::clone(&log);
        Box::pin(async move {
            log.lock().unwrap().push(format!("{name} before {}", job.payload_json()));
            let outcome = next.run(job).await;
            log.lock().unwrap().push(format!("{name} after"));
            outcome
        })
    }
}

mod futures {
    pub(super) type Boxed =
        std::pin::Pin<Box<dyn Future<Output = lavoro_core::Outcome> + Send + 'static>>;
}

#[tokio::test(flavor = "multi_thread")]
async fn middleware_wraps_handlers_outermost_first() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let log = Log::default();
    let said = Arc::clone(&log);
    let worker = Worker::builder(&lavoro)
        .middleware(around(&log, "outer"))
        .middleware(around(&log, "inner"))
        .middleware(|job: Job, next: Next| async move {
            match next.run(job).await {
                Outcome::Complete { .. } => Outcome::complete_with_json("\"changed\""),
                Outcome::Retry { failure, .. } => Outcome::Fail { failure },
                other => other,
            }
        })
        .handler("t", move |job: Job| {
            let said = Arc::clone(&said);
            async move {
                said.lock().unwrap().push("handler".to_owned());
                assert!(job.payload::<i32>().unwrap() > 0, "it panics");
                Ok::<_, Error>("as it was")
            }
        })
        .blocking_handler("blocking", |_| Ok::<_, Error>("as it was"))
        .quick()
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    assert_eq!(job.result(PATIENCE).await.unwrap().value::<String>().unwrap(), "changed");
    let expected = ["outer before 1", "inner before 1", "handler", "inner after", "outer after"];
    assert_eq!(log.lock().unwrap().as_slice(), expected);
    let blocking = lavoro.enqueue(NewJob::new("blocking", 1)).await.unwrap();
    assert_eq!(blocking.result(PATIENCE).await.unwrap().value::<String>().unwrap(), "changed");

    // It sees a handler's panic as its outcome.
    let panics = lavoro.enqueue(NewJob::new("t", 0)).await.unwrap();
    assert_eq!(panics.result(PATIENCE).await.unwrap().state, JobState::Discarded);
    let error = panics.info().await.unwrap().errors.remove(0);
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("panicked", "it panics"));
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_middleware_is_the_attempts_failure() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .middleware(|job: Job, next: Next| {
            assert!(job.payload_json() != "1", "before its future");
            async move {
                assert!(job.payload_json() != "2", "inside its future");
                next.run(job).await
            }
        })
        .middleware(|_, _| async { Err::<(), _>(Outcome::cancel("not run at all")) })
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    for (payload, kind, message) in [
        (1, "panicked", "before its future"),
        (2, "panicked", "inside its future"),
        (3, "cancelled", "not run at all"),
    ] {
        let job = lavoro.enqueue(NewJob::new("t", payload).max_attempts(1)).await.unwrap();
        assert_ne!(job.result(PATIENCE).await.unwrap().state, JobState::Completed);
        let error = job.info().await.unwrap().errors.remove(0);
        assert_eq!((error.kind.as_str(), error.message.as_str()), (kind, message));
    }
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

/// Ten jobs of a batch task and one of another, claimed together: calls of at most four.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_an_outcome_for_each_of_its_jobs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.pause_queue("default").await.unwrap();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let worker = Worker::builder(&lavoro)
        .queue("default", 20)
        .batch_handler("t", 4, move |jobs: Vec<Job>| {
            seen.lock().unwrap().push(jobs.len());
            async move {
                let outcome = |job: &Job| match job.payload::<u32>().unwrap() % 3 {
                    0 => Outcome::complete_with_json(job.payload_json()),
                    1 => Outcome::fail("one"),
                    _ => Outcome::snooze(Duration::from_hours(1)),
                };
                jobs.iter().map(outcome).collect::<Vec<_>>()
            }
        })
        .handler("other", |_| async { Outcome::complete() })
        .middleware(|_, _| async { Outcome::cancel("batches are not wrapped") })
        .quick()
        .start()
        .await
        .unwrap();
    let jobs = (0..10).map(|n| NewJob::new("t", n));
    let jobs = lavoro.enqueue_many(jobs).await.unwrap();
    let other = lavoro.enqueue(NewJob::new("other", 1)).await.unwrap();
    lavoro.resume_queue("default").await.unwrap();
    for (n, job) in jobs.iter().enumerate() {
        let state = [JobState::Completed, JobState::Discarded, JobState::Scheduled][n % 3];
        let info = in_state(&lavoro, job.id(), state).await;
        if state == JobState::Completed {
            assert_eq!(info.result, Some(info.payload));
        }
    }
    assert_eq!(other.result(PATIENCE).await.unwrap().state, JobState::Cancelled);
    worker.stop(PATIENCE).await;
    let mut sizes = sizes.lock().unwrap().clone();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 4, 4], "what is there goes at once, up to four in a call");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_as_a_whole_fails_each_job() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .batch_handler("panics", 3, |jobs: Vec<Job>| async move {
            assert!(jobs.is_empty(), "the whole batch");
            Vec::<Outcome>::new()
        })
        .batch_handler("short", 3, |_| async { Vec::<Outcome>::new() })
        .quick()
        .start()
        .await
        .unwrap();
    for (task, kind, message) in [
        ("panics", "panicked", "the whole batch"),
        ("short", "failed", "the batch handler returned 0 outcomes for"),
    ] {
        let jobs = (0..3).map(|n| NewJob::new(task, n).max_attempts(1));
        for job in lavoro.enqueue_many(jobs).await.unwrap() {
            assert_eq!(job.result(PATIENCE).await.unwrap().state, JobState::Discarded);
            let error = job.info().await.unwrap().errors.remove(0);
            assert_eq!(error.kind, kind);
            assert!(error.message.starts_with(message), "{}", error.message);
        }
    }
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

/// One job of a batch is cancelled, one takes too long: the others' outcomes count.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_batch_stop_one_by_one() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.pause_queue("default").await.unwrap();
    let worker = Worker::builder(&lavoro)
        .batch_handler("t", 3, |jobs: Vec<Job>| {
            async move {
                for job in &jobs[..2] {
                    job.stopped().await;
                }
                // What has been stopped fails, which must not be what becomes of it.
                let outcome = |job: &Job| match job.stop_reason() {
                    Some(reason) => Outcome::fail(format!("{reason:?}")),
                    None => Outcome::complete(),
                };
                jobs.iter().map(outcome).collect::<Vec<_>>()
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let jobs = lavoro
        .enqueue_many([
            NewJob::new("t", "cancelled"),
            NewJob::new("t", "slow").timeout(Duration::from_millis(100)),
            NewJob::new("t", "fine"),
        ])
        .await
        .unwrap();
    lavoro.resume_queue("default").await.unwrap();
    in_state(&lavoro, jobs[1].id(), JobState::Retrying).await;
    jobs[0].cancel().await.unwrap();
    assert_eq!(in_state(&lavoro, jobs[2].id(), JobState::Running).await.attempt, 1);
    assert_eq!(jobs[2].result(PATIENCE).await.unwrap().state, JobState::Completed);
    assert_eq!(jobs[0].result(PATIENCE).await.unwrap().state, JobState::Cancelled);
    let slow = jobs[1].info().await.unwrap();
    assert_eq!((slow.errors.len(), slow.errors[0].kind.as_str()), (1, "timeout"));
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_dropped_when_all_of_it_should_stop() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .batch_handler("t", 10, |_| async {
            std::future::pending::<()>().await;
            Vec::<Outcome>::new()
        })
        .quick()
        .start()
        .await
        .unwrap();
    let jobs =
        (0..5).map(|n| NewJob::new("t", n).timeout(Duration::from_millis(50)).max_attempts(1));
    for job in lavoro.enqueue_many(jobs).await.unwrap() {
        assert_eq!(job.result(PATIENCE).await.unwrap().state, JobState::Discarded);
    }
    assert!(worker.stop(PATIENCE).await, "the slots are free again");
    database.assert_sound().await;
}

/// The handler's word, then the job's, then the closure's, then the task's, then the default.
#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_word_on_backoff_counts() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let fails = |job: Job| async move {
        match job.payload::<u64>().unwrap() {
            0 => Outcome::retry("no"),
            seconds => Outcome::retry_in(Duration::from_secs(seconds), "no"),
        }
    };
    let fixed = |seconds| Backoff::fixed(Duration::from_secs(seconds));
    let worker = Worker::builder(&lavoro)
        .handler("plain", fails)
        .handler("task", fails)
        .handler("rule", fails)
        .handler("none", fails)
        .handler("panics", fails)
        .batch_handler("batch", 5, |jobs: Vec<Job>| async move {
            vec![Outcome::retry("no"); jobs.len()]
        })
        .backoff("task", fixed(2000))
        .backoff("rule", fixed(2000))
        .backoff("none", fixed(2000))
        .backoff("panics", fixed(2000))
        .backoff_with("rule", |job: &Job, failure: &Failure| {
            assert_eq!((failure.kind(), failure.message()), (FailureKind::Failed, "no"));
            Some(Duration::from_mins(50) * job.attempt())
        })
        .backoff_with("none", |_, _| None)
        .backoff_with("panics", |_, _| panic!("a rule"))
        .backoff_with("batch", |_, _| Some(Duration::MAX))
        .quick()
        .start()
        .await
        .unwrap();
    let own = || Some(fixed(4000));
    for (task, payload, own, expected) in [
        ("rule", 5000, own(), 5000),
        ("rule", 0, own(), 4000),
        ("rule", 0, None, 3000),
        ("none", 0, None, 2000),
        ("panics", 0, None, 2000),
        ("task", 0, own(), 4000),
        ("task", 0, None, 2000),
        ("plain", 0, None, 2),
        ("batch", 0, own(), 4000),
        ("batch", 0, None, 3650 * 86_400), // the longest
    ] {
        let job = own.into_iter().fold(NewJob::new(task, payload), NewJob::backoff);
        let job = lavoro.enqueue(job).await.unwrap();
        // The default is short: look at what was recorded, not at what may be over.
        let info = wait_for("the first failure", async || {
            Some(job.info().await.unwrap()).filter(|info| !info.errors.is_empty())
        })
        .await;
        assert_delay(&info, expected);
    }
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

/// The core decides these without the handler, and by the same rules. For every language.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_uses_its_tasks_backoff() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let fixed = |seconds| Backoff::fixed(Duration::from_secs(seconds));
    let options = WorkerOptions {
        tasks: vec!["t".to_owned()],
        backoff: [("t".to_owned(), fixed(2000))].into(),
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = PullWorker::start(&lavoro, options).await.unwrap();
    let job = || NewJob::new("t", 1).timeout(Duration::from_millis(50));
    for (job, expected) in [(job(), 2000), (job().backoff(fixed(4000)), 4000)] {
        let handle = lavoro.enqueue(job).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        assert_eq!(job.stopped().await, StopReason::Timeout);
        let info = in_state(&lavoro, handle.id(), JobState::Retrying).await;
        assert_eq!(info.errors[0].kind, "timeout");
        assert_delay(&info, expected);
        let late = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
        assert_eq!(worker.finish(vec![late]).await, [Verdict::Stale]);
    }
    worker.stop(PATIENCE).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_worker_is_named() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let day = Duration::from_hours(24);
    let builder = || Worker::builder(&lavoro).handler("t", |_| async {});
    let batch = |size| builder().batch_handler("b", size, |_| async { Vec::<Outcome>::new() });
    for (builder, words) in [
        (builder().backoff("u", Backoff::default()), "backoff names task \"u\""),
        (builder().backoff_with("u", |_, _| None), "backoff_with names task \"u\""),
        (builder().backoff("t", Backoff::exponential(2 * day, day)), "task \"t\": backoff"),
        (builder().backoff("t", Backoff::default().jitter(2.0)), "task \"t\": backoff"),
        (builder().backoff("t", Backoff::fixed(4000 * day)), "task \"t\": backoff"),
        (builder().grace(day + Duration::from_millis(1)), "grace is"),
        (batch(0), "max_jobs of task \"b\" is 0: it takes 1 to 10000"),
        (batch(10_001), "max_jobs of task \"b\" is 10001"),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
    let twice = builder().batch_handler("t", 1, |_| async { Vec::<Outcome>::new() });
    assert_eq!(twice.start().await.unwrap_err().kind(), ErrorKind::DuplicateHandler);
}

/// At the limit of a stop handlers are told; what they complete in the grace counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_handlers_its_grace() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let worker = Worker::builder(&lavoro)
        .handler("obeys", move |job: Job| {
            let count = Arc::clone(&count);
            async move {
                assert_eq!(job.stopped().await, StopReason::Shutdown);
                count.fetch_add(1, Ordering::SeqCst);
                let is_done: bool = job.payload()?;
                if is_done { Ok("saved") } else { Err(Outcome::retry("broken off")) }
            }
        })
        .grace(PATIENCE)
        .quick()
        .start()
        .await
        .unwrap();
    let saved = lavoro.enqueue(NewJob::new("obeys", true)).await.unwrap();
    let broken = lavoro.enqueue(NewJob::new("obeys", false)).await.unwrap();
    in_state(&lavoro, saved.id(), JobState::Running).await;
    in_state(&lavoro, broken.id(), JobState::Running).await;
    let began = Instant::now();
    assert!(!worker.stop(Duration::from_millis(100)).await);
    assert!(began.elapsed() < PATIENCE, "it does not use up the grace");
    assert_eq!(told.load(Ordering::SeqCst), 2);
    assert_eq!(saved.info().await.unwrap().state, JobState::Completed);
    let info = broken.info().await.unwrap();
    assert_eq!((info.state, info.attempt, info.errors.len()), (JobState::Available, 0, 0));
    database.assert_sound().await;
}

/// The same at the seam that every language uses.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_in_the_grace_counts() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let options = WorkerOptions {
        tasks: vec!["t".to_owned()],
        grace: PATIENCE,
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = Arc::new(PullWorker::start(&lavoro, options).await.unwrap());
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    let stop = Arc::clone(&worker);
    let stop = tokio::spawn(async move { stop.stop(Duration::from_millis(50)).await });
    assert_eq!(job.stopped().await, StopReason::Shutdown);
    let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![done]).await, [Verdict::Accepted]);
    assert!(!stop.await.unwrap());
    assert_eq!(handle.info().await.unwrap().state, JobState::Completed);
    database.assert_sound().await;
}

/// Who does not use the grace loses the attempt at its end, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_ends() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("deaf", |_| std::future::pending::<()>())
        .grace(Duration::from_millis(300))
        .quick()
        .start()
        .await
        .unwrap();
    let job = lavoro.enqueue(NewJob::new("deaf", 1)).await.unwrap();
    in_state(&lavoro, job.id(), JobState::Running).await;
    let began = Instant::now();
    let stop = tokio::spawn(worker.stop(Duration::ZERO));
    let info = in_state(&lavoro, job.id(), JobState::Available).await;
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert_eq!((info.attempt, info.errors.len()), (0, 0));
    assert!(!stop.await.unwrap());
    database.assert_sound().await;
}
