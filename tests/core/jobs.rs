//! Looking for jobs: every filter, page after page, each job exactly once.

use lavoro_core::{
    Finish, JobFilter, JobId, JobState, Lavoro, NewJob, Outcome, PullWorker, WorkerOptions,
};
use lavoro_tests::{Database, quick};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

/// All jobs that a filter finds, over as many pages as it takes.
pub(crate) async fn all(lavoro: &Lavoro, mut filter: JobFilter) -> Vec<JobId> {
    let mut ids = Vec::new();
    loop {
        let page = lavoro.jobs(filter.clone()).await.unwrap();
        assert!(page.jobs.len() <= filter.limit as usize);
        ids.extend(page.jobs.iter().map(|job| job.id));
        match page.next {
            Some(next) => {
                assert!(filter.before.is_none_or(|before| next < before), "{filter:?}");
                filter.before = Some(next);
            }
            None => return ids,
        }
    }
}

async fn view(database: &Database, condition: &str) -> Vec<JobId> {
    let sql = format!("select id from lavoro.jobs where {condition} order by id desc");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap()
}

/// Jobs in every state, of two tasks and queues, over several blocks of 1024 ids.
async fn mixed(database: &Database, lavoro: &Lavoro) -> PullWorker {
    for round in 0..4 {
        let jobs = (0..300).map(|n| {
            let job = NewJob::new(["a", "b"][n % 2], n)
                .queue(["p", "q", "r"][n % 3])
                .priority(i32::try_from(n % 4).unwrap());
            let job = if n % 5 == 0 { job.tags(["odd", "five"]) } else { job };
            if n % 7 == 0 { job.delay(LONG * 60) } else { job }
        });
        let handles = lavoro.enqueue_many(jobs).await.unwrap();
        for handle in handles.iter().skip(round).step_by(10) {
            handle.cancel().await.unwrap();
        }
        database
            .run("select setval('lavoro.job_id_seq', nextval('lavoro.job_id_seq') + 700)")
            .await;
    }
    let options = WorkerOptions {
        queues: [("p".to_owned(), 150.into())].into(),
        tasks: vec!["a".to_owned(), "b".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    };
    let worker = PullWorker::start(lavoro, options).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 150 {
        held.extend(worker.next_jobs(150).await);
    }
    let outcomes = held.iter().take(120).enumerate().map(|(n, job)| {
        let outcome = match n % 4 {
            0 => Outcome::retry_in(LONG * 60, "Connection REFUSED 100%"),
            1 => Outcome::fail("out of paper_1"),
            _ => Outcome::complete(),
        };
        Finish { job: job.id(), token: job.token(), outcome }
    });
    worker.finish(outcomes.collect()).await;
    worker.stop(Duration::from_millis(10)).await;
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_finds_what_the_view_holds_page_by_page() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let options = WorkerOptions { tasks: vec!["x".to_owned()], ..WorkerOptions::default() };
    let runs = PullWorker::start(&lavoro, options).await.unwrap();
    lavoro.enqueue_many((0..3).map(|n| NewJob::new("x", n))).await.unwrap();
    let mut running = Vec::new();
    while running.len() < 3 {
        running.extend(runs.next_jobs(3).await);
    }
    mixed(&database, &lavoro).await;
    let middle: chrono::DateTime<chrono::Utc> =
        database.one("select created_at from lavoro.job order by id offset 450 limit 1").await;
    let since = format!("created_at >= '{}'", middle.to_rfc3339());
    let until = format!("created_at < '{}'", middle.to_rfc3339());
    let any = JobFilter::default;
    let rest = [
        (any(), "true"),
        (JobFilter { task: Some("a".into()), ..any() }, "task = 'a'"),
        (JobFilter { queue: Some("q".into()), ..any() }, "queue = 'q'"),
        (JobFilter { tag: Some("five".into()), ..any() }, "'five' = any (tags)"),
        (JobFilter { created_after: Some(middle), ..any() }, &*since),
        (JobFilter { created_before: Some(middle), ..any() }, &*until),
        (
            JobFilter { error_contains: Some("refused 100%".into()), ..any() },
            "errors::text like '%REFUSED 100%'",
        ),
        (JobFilter { error_contains: Some("paper.1".into()), ..any() }, "false"),
        (
            JobFilter { task: Some("b".into()), queue: Some("p".into()), ..any() },
            "task = 'b' and queue = 'p'",
        ),
        (JobFilter { task: Some("nobody's".into()), ..any() }, "false"),
        (JobFilter { before: Some(1500), ..any() }, "id < 1500"),
    ];
    for state in JobState::ALL.map(Some).into_iter().chain([None]) {
        for (filter, condition) in rest.clone() {
            let condition = match state {
                Some(state) => format!("state = '{state}' and {condition}"),
                None => condition.to_owned(),
            };
            let expected = view(&database, &condition).await;
            for limit in [7, 50, 10_000] {
                let filter = JobFilter { state, limit, ..filter.clone() };
                assert_eq!(all(&lavoro, filter).await, expected, "{condition}, {limit} a page");
            }
            let counted = lavoro.count_jobs(JobFilter { state, ..filter }).await.unwrap();
            assert_eq!(counted, expected.len() as u64, "{condition}");
        }
        if let Some(state) = state {
            let there = view(&database, &format!("state = '{state}'")).await;
            assert!(!there.is_empty(), "the test has no job that is {state}");
        }
    }
    runs.stop(Duration::ZERO).await;
    database.assert_sound().await;
}

/// A page looks at a bounded number of jobs: where what is sought lies deep, it is short.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_gives_up_after_a_bounded_number_of_jobs() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let wanted = lavoro.enqueue(NewJob::new("rare", 1)).await.unwrap();
    lavoro.enqueue_many((0..30_000).map(|n| NewJob::new("t", n))).await.unwrap();
    for state in [None, Some(JobState::Available)] {
        let filter = JobFilter { tag: Some("none".into()), state, ..JobFilter::default() };
        let page = lavoro.jobs(filter.clone()).await.unwrap();
        assert!(page.jobs.is_empty() && page.next.is_some(), "{page:?}");
        assert_eq!(all(&lavoro, filter).await, Vec::<JobId>::new());
    }
    let filter = JobFilter { task: Some("rare".into()), ..JobFilter::default() };
    assert_eq!(all(&lavoro, filter.clone()).await, [wanted.id()]);
    // Of a task that few jobs wait for, the lane is known: at once.
    let filter = JobFilter { state: Some(JobState::Available), ..filter };
    assert_eq!(lavoro.jobs(filter).await.unwrap().jobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_held_against_its_limits() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let any = JobFilter::default;
    for (filter, code) in [
        (JobFilter { limit: 0, ..any() }, "invalid_option"),
        (JobFilter { limit: 10_001, ..any() }, "invalid_option"),
        (JobFilter { task: Some(String::new()), ..any() }, "invalid_task"),
        (JobFilter { queue: Some("a\0".into()), ..any() }, "invalid_queue"),
        (JobFilter { tag: Some("x".repeat(256)), ..any() }, "invalid_option"),
        (JobFilter { error_contains: Some(String::new()), ..any() }, "invalid_option"),
        (JobFilter { error_contains: Some("a\0".into()), ..any() }, "invalid_option"),
        (
            JobFilter { created_after: Some(chrono::DateTime::<chrono::Utc>::MAX_UTC), ..any() },
            "invalid_time",
        ),
    ] {
        let error = lavoro.jobs(filter.clone()).await.unwrap_err();
        assert_eq!(error.code(), code, "{filter:?}: {error}");
    }
}
