//! What handlers say while they work: shown at once, there when the job has ended, and bounded.

use lavoro_core::{
    Finish, Job, JobHandle, JobState, Lavoro, LogFilter, LogLine, NewJob, Outcome, ProgressUpdate,
    PullWorker, Worker, WorkerOptions, limits,
};
use lavoro_tests::{Database, Quick as _, wait_for};
use serde_json::json;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_mins(1);

async fn worker(lavoro: &Lavoro) -> PullWorker {
    let options = WorkerOptions { tasks: vec!["t".into()], ..WorkerOptions::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn next(worker: &PullWorker) -> Job {
    tokio::time::timeout(LONG, worker.next_jobs(1)).await.unwrap().remove(0)
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    let finish = Finish { job: job.id(), token: job.token(), outcome };
    worker.finish(vec![finish]).await;
}

async fn all_logs(handle: &JobHandle) -> Vec<LogLine> {
    handle.logs(LogFilter { limit: 100_000, ..LogFilter::default() }).await.unwrap()
}

async fn texts(handle: &JobHandle) -> Vec<String> {
    all_logs(handle).await.into_iter().map(|line| line.line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_on_progress_is_shown_while_the_job_runs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    assert_eq!(handle.info().await.unwrap().progress, None);
    let update = ProgressUpdate {
        percent: Some(12.5),
        message: Some("half\0way".into()),
        data: Some(json!({"rows": 7})),
    };
    job.progress_with(update).unwrap();
    let shown = wait_for("progress", async || handle.info().await.unwrap().progress).await;
    assert_eq!((shown.percent, shown.data), (Some(12.5), Some(json!({"rows": 7}))));
    assert_eq!(shown.message.as_deref(), Some("half\u{fffd}way"));
    for percent in 0..=100_u8 {
        job.progress(percent.into(), "").unwrap();
    }
    let last = wait_for("the last word", async || {
        handle.info().await.unwrap().progress.filter(|progress| progress.percent == Some(100.0))
    })
    .await;
    assert_eq!((last.message, last.data), (None, None), "the last word replaces all of the first");
    assert_eq!(
        lavoro.list_jobs(lavoro_core::JobFilter::default()).await.unwrap()[0].state.as_str(),
        "running"
    );
    job.progress_json(None, Some("no number"), Some("[1]")).unwrap();
    finish(&worker, &job, Outcome::complete()).await;
    let info = handle.info().await.unwrap();
    let progress = info.progress.unwrap();
    assert_eq!((info.state, progress.percent), (JobState::Completed, None));
    assert_eq!(progress.data, Some(json!([1])));
    assert!(progress.updated_at <= info.finished_at.unwrap());
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_outside_of_its_limits_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    for percent in [-0.1, 100.1, f32::NAN, f32::INFINITY] {
        let error = job.progress(percent, "").unwrap_err();
        assert_eq!(error.code(), "invalid_option");
        assert!(error.message().starts_with("percent is "), "{error}");
    }
    let big = "x".repeat(limits::PROGRESS_DATA_BYTES);
    let error = job.progress_with(ProgressUpdate { data: Some(big.into()), ..Default::default() });
    assert_eq!(error.unwrap_err().code(), "payload_too_large");
    let error = job.progress_json(None, None, Some("{")).unwrap_err();
    assert_eq!(error.code(), "invalid_payload");
    let long = "é".repeat(limits::PROGRESS_BYTES);
    job.progress(1.0, &long).unwrap();
    finish(&worker, &job, Outcome::complete()).await;
    let message = handle.info().await.unwrap().progress.unwrap().message.unwrap();
    assert!(message.len() <= limits::PROGRESS_BYTES && message.contains("left out"));
    worker.stop(LONG).await;
}

/// However an attempt ends: what it said just before is there when its end is.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_are_there_when_the_job_has_ended() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let worker = Worker::builder(&lavoro)
        .queue("default", 20)
        .handler("t", |job: Job| async move {
            let n: u32 = job.payload().unwrap();
            job.log(format!("attempt {}", job.attempt()));
            job.progress(50.0, &format!("job {n}, attempt {}", job.attempt())).unwrap();
            match (n % 4, job.attempt()) {
                (0, 1) => Outcome::retry_in(Duration::ZERO, "again"),
                (1, _) => Outcome::fail("never"),
                (2, _) => Outcome::cancel("unwanted"),
                _ => Outcome::complete(),
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    let jobs = lavoro.enqueue_many((0..200).map(|n| NewJob::new("t", n))).await.unwrap();
    for (n, job) in jobs.iter().enumerate() {
        let state = job.result(LONG).await.unwrap().state;
        let (expected, attempts) = match n % 4 {
            0 => (JobState::Completed, 2),
            1 => (JobState::Discarded, 1),
            2 => (JobState::Cancelled, 1),
            _ => (JobState::Completed, 1),
        };
        assert_eq!(state, expected);
        let progress = job.info().await.unwrap().progress.unwrap();
        assert_eq!(progress.message, Some(format!("job {n}, attempt {attempts}")));
        let expected: Vec<_> = (1..=attempts).map(|attempt| format!("attempt {attempt}")).collect();
        assert_eq!(texts(job).await, expected, "job {n}");
    }
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// A handler that does not return in time, and one that never stops talking.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_writes_what_was_said() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    let other = job.clone();
    let talking = std::thread::spawn(move || {
        while other.stop_reason().is_none() {
            other.log("on and on");
            other.progress(1.0, "still talking").unwrap();
        }
    });
    job.log("first");
    let began = Instant::now();
    assert!(!worker.stop(Duration::ZERO).await);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    talking.join().unwrap();
    let lines = texts(&handle).await;
    assert!(lines.contains(&"first".to_owned()), "{lines:?}");
    let info = handle.info().await.unwrap();
    assert_eq!(info.state, JobState::Available, "handed back");
    assert_eq!(info.progress.unwrap().message.as_deref(), Some("still talking"));
    // Nobody listens any more, and nobody is told off for talking.
    job.log("too late");
    job.progress(2.0, "too late").unwrap();
    assert_eq!(job.save_checkpoint(&1).await.unwrap_err().code(), "closed");
    assert_eq!(job.checkpoint::<i32>().await.unwrap_err().code(), "closed");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_keeps_its_order_over_attempts_and_is_read_in_pages() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let mut expected = Vec::new();
    for attempt in 1..=3_u32 {
        let job = next(&worker).await;
        for n in 0..100 {
            job.log(format!("{attempt}.{n}"));
            expected.push((attempt, format!("{attempt}.{n}")));
        }
        finish(&worker, &job, Outcome::retry_in(Duration::ZERO, "again")).await;
    }
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let page = handle.logs(LogFilter { after, limit: 7 }).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        read.extend(page);
    }
    assert!(read.is_sorted_by(|a, b| a.id < b.id));
    let read: Vec<_> = read.into_iter().map(|line| (line.attempt, line.line)).collect();
    assert_eq!(read, expected);
    assert!(lavoro.job(-1).logs(LogFilter::default()).await.unwrap().is_empty());
    worker.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_bounded_and_says_so() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    job.log("two\r\nlines\0\n");
    job.log("");
    job.log(format!("head{}tail", "é".repeat(limits::LOG_LINE_BYTES)));
    for n in 0..3 * limits::LOG_LINES {
        job.log(n.to_string());
    }
    finish(&worker, &job, Outcome::snooze(Duration::ZERO)).await;
    let lines = texts(&handle).await;
    assert_eq!(lines.len(), limits::LOG_LINES + 1);
    assert_eq!(lines[..3], ["two", "lines\u{fffd}", ""]);
    let long = &lines[3];
    assert!(long.len() <= limits::LOG_LINE_BYTES && long.contains("bytes left out"));
    assert!(long.starts_with("head") && long.ends_with("tail") && !long.contains('\n'));
    assert_eq!(lines[4..1000], (0..996).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(lines[1000].contains("left out: 1000 is the limit"), "{}", lines[1000]);
    // The next attempt has room of its own.
    let job = next(&worker).await;
    job.log("again");
    finish(&worker, &job, Outcome::complete()).await;
    assert_eq!(texts(&handle).await.last().unwrap(), "again");
    worker.stop(LONG).await;
    database.assert_sound().await;
}

/// From the call to a reader that asks all the time. The machine may be busy: the bar is wide.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_visible_at_once() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.enqueue(NewJob::new("t", ())).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = next(&worker).await;
    // After a rest, and at once after the word before.
    for rest in [20, 0] {
        let mut took = Vec::new();
        for n in 0..200 {
            let word = format!("{rest}.{n}");
            let began = Instant::now();
            job.progress(1.0, &word).unwrap();
            loop {
                let shown = "select max(message) from lavoro.progress";
                if database.one::<Option<String>>(shown).await.as_ref() == Some(&word) {
                    break;
                }
                assert!(began.elapsed() < LONG, "progress does not arrive");
            }
            took.push(began.elapsed());
            tokio::time::sleep(Duration::from_millis(rest)).await;
        }
        took.sort_unstable();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        println!("progress after {rest} ms of rest, call to visible: p50 {half:?}, p99 {most:?}");
        assert!(half < Duration::from_millis(100), "{half:?}");
    }
    worker.stop(Duration::ZERO).await;
}
