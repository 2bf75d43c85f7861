//! Events of a worker: told once, after their commit, to whoever listens, at nobody's cost.

use lavoro_core::{
    Event, EventStream, FailureKind, Finish, Job, Lavoro, NewJob, Outcome, PullWorker, Verdict,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, PATIENCE, Quick as _, quick, wait_for};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

fn options() -> WorkerOptions {
    WorkerOptions { tasks: vec!["t".to_owned()], timing: quick(), ..WorkerOptions::default() }
}

async fn next(events: &mut EventStream) -> Event {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("no event came").expect("the stream has ended")
}

/// The next event that is about a job.
async fn next_of_job(events: &mut EventStream) -> Event {
    loop {
        let event = next(events).await;
        if event.job().is_some() {
            return event;
        }
    }
}

/// Runs one job to this outcome, and answers what was told of it.
async fn told(
    lavoro: &Lavoro,
    worker: &PullWorker,
    job: NewJob,
    outcome: Outcome,
    count: usize,
) -> Vec<Event> {
    let mut events = worker.events();
    let id = lavoro.enqueue(job).await.unwrap().id();
    let job: Job = worker.next_jobs(1).await.remove(0);
    assert_eq!(job.id(), id);
    let finish = Finish { job: id, token: job.token(), outcome };
    assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
    let mut told = Vec::new();
    while told.len() < count {
        let event = next_of_job(&mut events).await;
        assert_eq!((event.job().unwrap().id, event.queue()), (id, "default"));
        told.push(event);
    }
    told
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_is_told() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    let hour = Duration::from_hours(1);
    let job = || NewJob::new("t", 1);
    let run = async |job, outcome, count| told(&lavoro, &worker, job, outcome, count).await;

    let completed = run(job(), Outcome::complete(), 2).await;
    assert_eq!(names(&completed), ["started", "completed"]);
    let (started, ended) = (completed[0].job().unwrap(), completed[1].job().unwrap());
    assert_eq!((&*started.task, started.attempt, started.max_attempts), ("t", 1, 20));
    assert!(started.waited.is_some() && started.ran.is_none(), "{started:?}");
    assert!(ended.waited == started.waited && ended.ran.is_some(), "{ended:?}");

    let retried = run(job(), Outcome::retry_in(hour, "not yet"), 3).await;
    assert_eq!(names(&retried), ["started", "failed", "retried"]);
    assert!(matches!(&retried[1], Event::Failed { failure, .. } if failure.message() == "not yet"));
    assert!(matches!(&retried[2], Event::Retried { delay, .. } if *delay == hour));

    // The backoff that is told is the one that was recorded.
    let backed_off = run(job(), Outcome::retry("again"), 3).await;
    let Event::Retried { delay, job: of } = &backed_off[2] else { panic!("{backed_off:?}") };
    let info = lavoro.job(of.id).info().await.unwrap();
    let waits = (info.run_at - info.errors[0].failed_at).as_seconds_f64();
    assert!((waits - delay.as_secs_f64()).abs() < 1.0, "{waits} s, not {delay:?}");

    let last = run(job().max_attempts(1), Outcome::retry("the last"), 3).await;
    assert_eq!(names(&last), ["started", "failed", "discarded"]);
    let failed = run(job(), Outcome::fail("never"), 3).await;
    assert_eq!(names(&failed), ["started", "failed", "discarded"]);
    assert!(matches!(&failed[2], Event::Discarded { failure, .. } if failure.message() == "never"));
    let snoozed = run(job(), Outcome::snooze(hour), 2).await;
    assert!(matches!(&snoozed[1], Event::Snoozed { delay, .. } if *delay == hour));
    let cancelled = run(job(), Outcome::cancel("unwanted"), 2).await;
    assert!(matches!(&cancelled[1], Event::Cancelled { reason: Some(why), .. }
        if why.message() == "unwanted"));
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// Progress is told at once, before it is written.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job: Job = worker.next_jobs(1).await.remove(0);
    let mut events = worker.events();
    job.progress(40.0, "halfway, nearly").unwrap();
    assert!(job.progress(101.0, "too far").is_err(), "what is refused is not told");
    let Event::Progressed { job: told, percent, message } = next_of_job(&mut events).await else {
        panic!("another event");
    };
    assert_eq!(
        (told.id, percent, message.as_deref()),
        (job.id(), Some(40.0), Some("halfway, nearly"))
    );
    worker
        .finish(vec![Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() }])
        .await;
    assert_eq!(names(&[next_of_job(&mut events).await]), ["completed"]);
    worker.stop(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_releases_and_the_end_are_told() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    let mut events = worker.events();
    let slow = NewJob::new("t", 1).timeout(Duration::from_millis(50));
    lavoro.enqueue(slow.max_attempts(1)).await.unwrap();
    worker.next_jobs(1).await.remove(0).stopped().await;
    next_of_job(&mut events).await;
    let failed = next_of_job(&mut events).await;
    let Event::Failed { failure, job } = &failed else { panic!("{failed:?}") };
    assert_eq!(failure.kind(), FailureKind::Timeout);
    assert!(job.ran.unwrap() >= Duration::from_millis(50));
    assert_eq!(next_of_job(&mut events).await.name(), "discarded");

    lavoro.enqueue(NewJob::new("t", 2)).await.unwrap();
    worker.next_jobs(1).await;
    worker.stop(Duration::from_millis(50)).await;
    let mut rest = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, events.next()).await.unwrap() {
        rest.extend(event.job().is_some().then(|| event.name()));
    }
    assert_eq!(rest, ["started", "released"]);
    assert_eq!(worker.events().next().await, None, "the worker has ended");
    database.assert_sound().await;
}

/// An outcome that was refused has not happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_outcome_is_not_told() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    let mut events = worker.events();
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    // Someone else has taken the lease apart.
    database
        .run(
            "with lost as (delete from lavoro.lease returning jobs)
             insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
             select jobs[1], now() + interval '1 hour', 0, 1, 0, true, 'default', 't', jobs from lost",
        )
        .await;
    let done = Finish { job: job.id(), token: job.token(), outcome: Outcome::complete() };
    assert_eq!(worker.finish(vec![done]).await, [Verdict::Stale]);
    worker.stop(LONG).await;
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.extend(event.job().is_some().then(|| event.name()));
    }
    assert_eq!(told, ["started"]);
    let counted: i64 =
        database.one("select coalesce(sum(completed), 0)::bigint from lavoro.tally").await;
    assert_eq!(counted, 0);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_queue_is_told_once_per_turn() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let mut events = worker.events();
    for turn in 0..3 {
        let jobs = lavoro.enqueue_many((0..5).map(|n| NewJob::new("t", n))).await.unwrap();
        let (mut completed, mut empty) = (0, false);
        while completed < jobs.len() || !empty {
            match next(&mut events).await {
                Event::Completed { .. } => completed += 1,
                Event::QueueEmpty { queue } => empty = &*queue == "default",
                Event::Started { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        // A false alarm makes it look again, and there is nothing new to tell.
        database.run("select pg_notify('lavoro', 'default')").await;
        let again = tokio::time::timeout(5 * quick().poll, async {
            while next(&mut events).await.name() != "queue_empty" {}
        });
        assert!(again.await.is_err(), "told twice in turn {turn}");
    }
    worker.stop(LONG).await;
}

/// A listener that never reads costs neither time nor memory, and learns what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_never_reads_harms_nobody() {
    const JOBS: usize = 2000;
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("default", 100)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let (mut sleeper, mut reader) = (worker.events(), worker.events());
    let reading = tokio::spawn(async move {
        let mut completed = 0;
        while completed < JOBS {
            completed += usize::from(next(&mut reader).await.name() == "completed");
        }
        reader.missed()
    });
    let jobs = lavoro.enqueue_many((0..JOBS).map(|n| NewJob::new("t", n))).await.unwrap();
    for job in jobs {
        job.result(LONG).await.unwrap();
    }
    assert_eq!(reading.await.unwrap(), 0, "who reads in time misses nothing");
    assert!(worker.stop(LONG).await);
    let mut read = 0;
    while sleeper.next().await.is_some() {
        read += 1;
    }
    assert_eq!(read, 1024, "the newest are kept");
    assert!(sleeper.missed() >= (2 * JOBS - 1024) as u64, "missed {}", sleeper.missed());
    database.assert_sound().await;
}

/// How long after it happened an event is received. Printed, and held to a generous limit: the
/// machines that run tests are busy.
#[tokio::test(flavor = "multi_thread")]
async fn events_come_at_once() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    let mut events = worker.events();
    wait_for("the worker to be idle", async || {
        let idle: i64 = database.one("select count(*) from lavoro.worker where idle").await;
        (idle == 1).then_some(())
    })
    .await;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for n in 0..200 {
        let enqueued = Instant::now();
        let handle = lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
        let job = worker.next_jobs(1).await.remove(0);
        while next(&mut events).await.name() != "started" {}
        starts.push(enqueued.elapsed());
        let done = Finish { job: handle.id(), token: job.token(), outcome: Outcome::complete() };
        let told = async {
            while next(&mut events).await.name() != "completed" {}
            chrono::Utc::now()
        };
        let (at, _) = tokio::join!(told, worker.finish(vec![done]));
        // The end is noted in the statement whose commit follows: an upper bound.
        let ended = handle.info().await.unwrap().finished_at.unwrap();
        ends.push((at - ended).to_std().unwrap_or_default());
    }
    for (what, times) in [("enqueue to started", &mut starts), ("end to completed", &mut ends)] {
        times.sort();
        println!("{what}: p50 {:?}, p99 {:?}", times[100], times[198]);
        assert!(times[100] < Duration::from_millis(200), "{what}: {:?}", times[100]);
    }
    worker.stop(LONG).await;
}
