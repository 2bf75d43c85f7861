//! Changing and deleting one job.

use lavoro_core::{
    Finish, Job, JobEdit, JobHandle, JobState, Lavoro, NewJob, Outcome, PullWorker, Verdict,
    Worker, WorkerOptions,
};
use lavoro_tests::{Database, Quick as _, quick, wait_for};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

async fn worker(lavoro: &Lavoro) -> PullWorker {
    let options = WorkerOptions { tasks: vec!["t".into()], timing: quick(), ..Default::default() };
    PullWorker::start(lavoro, options).await.unwrap()
}

async fn finish(worker: &PullWorker, job: &Job, outcome: Outcome) {
    let finish = Finish { job: job.id(), token: job.token(), outcome };
    assert_eq!(worker.finish(vec![finish]).await, [Verdict::Accepted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_changes_what_it_names_and_nothing_else() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = lavoro.enqueue_many((0..5).map(|n| NewJob::new("t", n).tags(["x"]))).await.unwrap();
    let job = &jobs[2];
    let before = job.info().await.unwrap();
    job.edit(JobEdit::new().payload("new")).await.unwrap();
    let info = job.info().await.unwrap();
    assert_eq!((info.payload, info.state), ("new".into(), JobState::Available));
    assert_eq!((info.priority, &*info.queue, info.tags), (0, "default", before.tags));
    job.edit(JobEdit::new().priority(-7).queue("other")).await.unwrap();
    let info = job.info().await.unwrap();
    assert_eq!((info.priority, &*info.queue, info.payload), (-7, "other", "new".into()));
    job.edit(JobEdit::new().delay(LONG)).await.unwrap();
    let info = job.info().await.unwrap();
    assert_eq!((info.state, info.priority), (JobState::Scheduled, -7));
    assert!(info.run_at > info.created_at + LONG);
    job.edit(JobEdit::new().payload(1)).await.unwrap();
    assert_eq!(job.info().await.unwrap().run_at, info.run_at, "the time it waits for stays");
    job.edit(JobEdit::new().delay(Duration::ZERO)).await.unwrap();
    assert_eq!(job.info().await.unwrap().state, JobState::Available);
    for other in [0, 1, 3, 4] {
        let info = jobs[other].info().await.unwrap();
        assert_eq!((info.payload, info.priority), (other.into(), 0));
    }
    assert_eq!(job.edit(JobEdit::new()).await.unwrap_err().code(), "invalid_option");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_keeps_attempts_and_suspicion() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let worker = worker(&lavoro).await;
    let job = worker.next_jobs(1).await.remove(0);
    finish(&worker, &job, Outcome::retry_in(LONG, "once")).await;
    handle.edit(JobEdit::new().payload(2)).await.unwrap();
    assert_eq!(handle.info().await.unwrap().state, JobState::Retrying);
    database.run("update lavoro.scheduled set suspect = true").await;
    handle.edit(JobEdit::new().delay_ms(0)).await.unwrap();
    let job = worker.next_jobs(1).await.remove(0);
    assert_eq!((job.attempt(), job.is_suspect(), job.payload_json()), (2, true, "2"));
    for result in [handle.edit(JobEdit::new().payload(3)).await, handle.delete().await] {
        assert_eq!(result.unwrap_err().code(), "invalid_state", "it runs");
    }
    finish(&worker, &job, Outcome::complete()).await;
    let edit = handle.edit(JobEdit::new().payload(3)).await;
    assert_eq!(edit.unwrap_err().code(), "invalid_state", "it has ended");
    handle.delete().await.unwrap();
    for result in [handle.edit(JobEdit::new().payload(3)).await, handle.delete().await] {
        assert_eq!(result.unwrap_err().code(), "job_not_found");
    }
    let left: i64 = database
        .one("select (select count(*) from lavoro.error) + (select count(*) from lavoro.outcome)")
        .await;
    assert_eq!(left, 0, "its history goes with it");
    worker.stop(LONG).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_goes_along_to_another_queue_or_the_edit_is_refused() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let keyed = |queue: &str| NewJob::new("t", 1).unique_key("k").queue(queue);
    let here = lavoro.enqueue(keyed("a")).await.unwrap();
    let there = lavoro.enqueue(keyed("b")).await.unwrap();
    let error = here.edit(JobEdit::new().queue("b").payload(9)).await.unwrap_err();
    assert_eq!(error.code(), "invalid_state", "{error}");
    let info = here.info().await.unwrap();
    assert_eq!((&*info.queue, info.payload), ("a", 1.into()), "nothing of it happened");
    here.edit(JobEdit::new().queue("c")).await.unwrap();
    assert!(lavoro.enqueue(keyed("a")).await.unwrap().is_new());
    assert_eq!(lavoro.enqueue(keyed("c")).await.unwrap().id(), here.id());
    there.delete().await.unwrap();
    here.edit(JobEdit::new().queue("b")).await.unwrap();
    database.assert_sound().await;
}

/// A key that another transaction has taken and not committed: not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_decided_is_unique_pending() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let here = lavoro.enqueue(NewJob::new("t", 1).unique_key("k").queue("a")).await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    let other = NewJob::new("t", 1).unique_key("k").queue("b");
    lavoro.enqueue_in(&mut open, other).await.unwrap();
    let error = here.edit(JobEdit::new().queue("b")).await.unwrap_err();
    assert_eq!(error.code(), "unique_pending", "{error}");
    open.rollback().await.unwrap();
    here.edit(JobEdit::new().queue("b")).await.unwrap();
    database.assert_sound().await;
}

/// A completion is pending in a user's transaction: neither edit nor delete gets past it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_completion_comes_first() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for commits in [true, false] {
        let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
        let worker = worker(&lavoro).await;
        let job = worker.next_jobs(1).await.remove(0);
        let mut open = database.pool.begin().await.unwrap();
        let complete = sqlx::query("select lavoro.complete($1, $2)::text");
        complete.bind(job.id()).bind(job.token()).execute(&mut *open).await.unwrap();
        let deleting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.delete().await }
        });
        wait_for("the delete to wait", async || {
            let waiting = "select count(*) from pg_locks where not granted";
            (database.one::<i64>(waiting).await > 0).then_some(())
        })
        .await;
        if commits {
            open.commit().await.unwrap();
            deleting.await.unwrap().unwrap();
            assert_eq!(handle.info().await.unwrap_err().code(), "job_not_found");
        } else {
            open.rollback().await.unwrap();
            assert_eq!(deleting.await.unwrap().unwrap_err().code(), "invalid_state");
        }
        worker.stop(Duration::ZERO).await;
        database.assert_sound().await;
    }
}

/// A cancel that meets an edit which moves the job to another lane finds the job there.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_follows_a_job_that_an_edit_moves() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    let edit = sqlx::query("select lavoro.edit($1, queue => 'other', priority => 5)::text");
    edit.bind(handle.id()).execute(&mut *open).await.unwrap();
    let cancelling = tokio::spawn({
        let handle = handle.clone();
        async move { handle.cancel().await }
    });
    wait_for("the cancel to wait", async || {
        let waiting = "select count(*) from pg_locks where not granted";
        (database.one::<i64>(waiting).await > 0).then_some(())
    })
    .await;
    open.commit().await.unwrap();
    assert_eq!(cancelling.await.unwrap().unwrap(), JobState::Cancelled);
    database.assert_sound().await;
}

/// A cancel that meets a delete finds no job, and leaves no wish behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_meets_a_delete_finds_no_job() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let handle = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    let delete = sqlx::query("select lavoro.delete($1)::text");
    delete.bind(handle.id()).execute(&mut *open).await.unwrap();
    let cancelling = tokio::spawn(async move { handle.cancel().await });
    wait_for("the cancel to wait", async || {
        let waiting = "select count(*) from pg_locks where not granted";
        (database.one::<i64>(waiting).await > 0).then_some(())
    })
    .await;
    open.commit().await.unwrap();
    assert_eq!(cancelling.await.unwrap().unwrap_err().code(), "job_not_found");
    assert_eq!(database.one::<i64>("select count(*) from lavoro.cancel_request").await, 0);
    database.assert_sound().await;
}

/// Expiry of a retrying job puts it back where it was, in the lane that an edit has given it.
#[tokio::test(flavor = "multi_thread")]
async fn expire_ends_only_what_waits_for_its_first_attempt() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let soon = NewJob::new("t", 1).expires_in(Duration::from_millis(1)).unique_key("k");
    let first = lavoro.enqueue(soon).await.unwrap();
    let later = lavoro.enqueue(NewJob::new("t", 1).expires_in(LONG)).await.unwrap();
    let expire = async |handle: &JobHandle| -> bool {
        let sql = "select lavoro.expire($1, clock_timestamp() + interval '1 second')";
        sqlx::query_scalar(sql).bind(handle.id()).fetch_one(&database.pool).await.unwrap()
    };
    assert!(!expire(&later).await);
    let mut open = database.pool.begin().await.unwrap();
    let edit = sqlx::query("select lavoro.edit($1, queue => 'other')::text");
    edit.bind(first.id()).execute(&mut *open).await.unwrap();
    assert!(!expire(&first).await, "someone is changing it: later");
    open.commit().await.unwrap();
    assert!(expire(&first).await);
    let info = first.info().await.unwrap();
    assert_eq!((info.state, &*info.errors[0].kind), (JobState::Cancelled, "expired"));
    database
        .run("update lavoro.job set expires_at = now(); update lavoro.ready set attempt = 1")
        .await;
    assert!(!expire(&later).await, "an attempt has counted");
    assert_eq!(later.info().await.unwrap().state, JobState::Available);
    database.assert_sound().await;
}

/// Edits and deletes race claims of busy workers: every job that is not deleted runs exactly
/// once, and with the payload that was there when it was claimed.
#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletes_race_claims_and_lose_or_double_nothing() {
    const JOBS: usize = 3000;
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let ran: Arc<Mutex<HashMap<i64, u32>>> = Arc::default();
    let handles =
        lavoro.enqueue_many((0..JOBS).map(|n| NewJob::new("t", n).queue("a"))).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let ran = Arc::clone(&ran);
        let worker = Worker::builder(&lavoro)
            .queue("a", 7)
            .queue("b", 7)
            .handler("t", move |job: Job| {
                let ran = Arc::clone(&ran);
                async move {
                    *ran.lock().unwrap().entry(job.id()).or_default() += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    job.payload::<usize>()
                }
            })
            .quick()
            .start()
            .await
            .unwrap();
        workers.push(worker);
    }
    let changing = (0..3).map(|part| {
        let handles: Vec<JobHandle> = handles.iter().skip(part).step_by(3).cloned().collect();
        tokio::spawn(async move {
            let mut deleted = Vec::new();
            for (n, handle) in handles.iter().enumerate().rev() {
                let result = match n % 4 {
                    0 => handle.edit(JobEdit::new().queue("b").payload(JOBS + n)).await,
                    1 => handle.edit(JobEdit::new().priority(3).delay_ms(20)).await,
                    2 => handle.delete().await.inspect(|()| deleted.push(handle.id())),
                    _ => handle.edit(JobEdit::new().delay_ms(0)).await,
                };
                if let Err(error) = result {
                    assert_eq!(error.code(), "invalid_state", "{error}");
                }
            }
            deleted
        })
    });
    let mut deleted = Vec::new();
    for task in changing.collect::<Vec<_>>() {
        deleted.extend(task.await.unwrap());
    }
    wait_for("all jobs to end", async || {
        let open = "select count(*) from lavoro.job j
                    where not exists (select from lavoro.outcome o where o.job_id = j.id)";
        (database.one::<i64>(open).await == 0).then_some(())
    })
    .await;
    for worker in workers {
        worker.stop(LONG).await;
    }
    let ran = ran.lock().unwrap().clone();
    assert!(ran.values().all(|times| *times == 1), "some job ran twice");
    let left: i64 = database.one("select count(*) from lavoro.job").await;
    assert_eq!(usize::try_from(left).unwrap() + deleted.len(), JOBS);
    for handle in &handles {
        assert!(ran.contains_key(&handle.id()) || deleted.contains(&handle.id()), "a job was lost");
    }
    assert!(deleted.len() > 100, "too few were deleted for a race: {}", deleted.len());
    let wrong: i64 = database
        .one("select count(*) from lavoro.jobs where state <> 'completed' or result <> payload")
        .await;
    assert_eq!(wrong, 0);
    database.assert_sound().await;
}
