//! Which workers there are, and what they are seen to hold.

use lavoro_core::{Finish, NewJob, Outcome, PullWorker, WorkerOptions, WorkerState};
use lavoro_tests::{Database, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

fn options() -> WorkerOptions {
    WorkerOptions {
        name: Some("w".to_owned()),
        queues: [("default".to_owned(), 3.into()), ("mail".to_owned(), 2.into())].into(),
        tasks: vec!["t".to_owned()],
        timing: quick(),
        ..WorkerOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_seen_with_what_it_holds_until_it_has_ended() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    assert!(lavoro.workers().await.unwrap().is_empty());
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    lavoro.enqueue_many((0..2).map(|n| NewJob::new("t", n))).await.unwrap();
    let mut held = worker.next_jobs(2).await;
    while held.len() < 2 {
        held.extend(worker.next_jobs(2).await);
    }
    let seen = lavoro.workers().await.unwrap().remove(0);
    assert_eq!((seen.id, seen.name.as_str(), seen.state), (worker.id(), "w", WorkerState::Alive));
    assert_eq!((seen.pid, seen.language.as_str()), (std::process::id(), "rust"));
    assert_eq!((seen.slots, seen.running, seen.holds_suspect), (5, 2, false));
    assert_eq!((seen.queues["mail"].concurrency, seen.queues.len()), (2, 2));
    assert_eq!((seen.tasks.as_slice(), seen.lease_ms), (&["t".to_owned()][..], 1500));
    assert!(seen.oldest_running_ms.is_some() && seen.ended_at.is_none());
    let finishes = held.iter().map(|job| Finish {
        job: job.id(),
        token: job.token(),
        outcome: Outcome::complete(),
    });
    worker.finish(finishes.collect()).await;
    let seen = lavoro.workers().await.unwrap().remove(0);
    assert_eq!((seen.running, seen.oldest_running_ms), (0, None));
    worker.stop(LONG).await;
    assert!(lavoro.workers().await.unwrap().is_empty());
    let all = lavoro.all_workers().await.unwrap();
    assert_eq!((all[0].state, all.len()), (WorkerState::Ended, 1));
    assert!(all[0].ended_at.is_some());
}

/// A worker that nobody rescues from stays in the list, as silent. A suspect is seen too, and
/// so is a column in the shape that newer workers write.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_worker_is_told_from_one_that_lives() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    database
        .run(
            "insert into lavoro.worker (id, beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values (77, now() - interval '1 minute', now(), 15000, 1, 'gone', 'h', 'node', '0',
                     '{\"mail*\": {\"concurrency\": 4, \"weight\": 2}}', '{t}');
             with pack as (delete from lavoro.ready returning jobs)
             insert into lavoro.lease (token, worker_id, claimed_at, suspect, jobs, attempts)
             select gen_random_uuid(), 77, now() - interval '1 minute', jobs[1], jobs, '{1}' from pack",
        )
        .await;
    let seen = lavoro.workers().await.unwrap().remove(0);
    assert_eq!((seen.state, seen.running, seen.holds_suspect), (WorkerState::Silent, 1, true));
    assert_eq!((seen.queues["mail*"].weight, seen.slots), (2, 4));
    assert!(seen.oldest_running_ms.unwrap() >= 60_000);
    // A worker that lives takes the job from it and ends it.
    let worker = PullWorker::start(&lavoro, options()).await.unwrap();
    wait_for("the rescue", async || {
        let states: Vec<_> = lavoro.workers().await.unwrap().iter().map(|w| w.state).collect();
        (states == [WorkerState::Alive]).then_some(())
    })
    .await;
    let held = wait_for("the job", async || worker.next_jobs(1).await.pop()).await;
    assert_eq!(held.id(), job.id());
    assert!(lavoro.workers().await.unwrap()[0].holds_suspect);
    worker.stop(Duration::ZERO).await;
    database.assert_sound().await;
}
