//! Statistics: what queues hold, what workers did, and that no outage loses or doubles a count.

use lavoro_core::{
    ConnectOptions, ErrorKind, Job, Lavoro, NewJob, Outcome, QueueStatistics, Timing, Worker,
};
use lavoro_tests::{Database, Proxy, Quick as _, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);
const WINDOW: Duration = Duration::from_mins(5);

async fn statistics(lavoro: &Lavoro, queue: &str) -> QueueStatistics {
    let all = lavoro.statistics(WINDOW).await.unwrap();
    all.into_iter().find(|of| of.queue == queue).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn depths_are_told_by_queue_and_task() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let hour = Duration::from_hours(1);
    lavoro.enqueue_many((0..200).map(|n| NewJob::new("a", n).queue("mail"))).await.unwrap();
    lavoro.enqueue_many((0..3).map(|n| NewJob::new("b", n).queue("mail"))).await.unwrap();
    lavoro.enqueue(NewJob::new("a", 1).queue("mail").delay(hour)).await.unwrap();
    lavoro.pause_queue("asleep").await.unwrap();
    database
        .run(
            "update lavoro.job set created_at = now() - interval '1 hour' where id = 1;
             insert into lavoro.worker (beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values (now() + interval '1 hour', now(), 15000, 1, 'w', 'h', 'rust', '0',
                     '{\"mail\": 1}', '{a}')",
        )
        .await;
    let mail = statistics(&lavoro, "mail").await;
    let figures = &mail.figures;
    assert_eq!((figures.available, figures.scheduled, figures.running), (203, 1, 0));
    let oldest = figures.oldest_wait.unwrap().as_secs();
    assert!((3600..3660).contains(&oldest), "{oldest} s");
    assert_eq!(mail.unhandled, ["b"]);
    assert_eq!((figures.wait, figures.run), (None, None));
    let tasks: Vec<_> = mail.tasks.iter().map(|t| (t.task.as_str(), t.figures.available)).collect();
    assert_eq!(tasks, [("a", 200), ("b", 3)]);
    let asleep = statistics(&lavoro, "asleep").await;
    assert!(asleep.paused_at.is_some() && asleep.tasks.is_empty(), "{asleep:?}");
    // What is silent handles nothing.
    database.run("update lavoro.worker set beat_at = now() - interval '1 minute'").await;
    assert_eq!(statistics(&lavoro, "mail").await.unhandled, ["a", "b"]);
}

/// A job that is due early is not hidden by one with a smaller number that is due late.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_is_the_one_that_has_been_due_longest() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    for n in 0..2 {
        lavoro.enqueue(NewJob::new("t", n)).await.unwrap();
    }
    database
        .run(
            "update lavoro.job set created_at = now() - interval '2 days',
                                   run_at = now() - interval '1 second' where id = 1;
             update lavoro.job set created_at = now() - interval '1 hour' where id = 2",
        )
        .await;
    let oldest = statistics(&lavoro, "default").await.figures.oldest_wait.unwrap();
    assert!(oldest.as_secs() >= 3600, "{oldest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_did_is_counted_and_timed() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..40).map(|n| NewJob::new("t", n).max_attempts(2));
    let jobs = lavoro.enqueue_many(jobs).await.unwrap();
    database.run("update lavoro.job set created_at = now() - interval '10 seconds'").await;
    let worker = Worker::builder(&lavoro)
        .handler("t", |job: Job| async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            match job.payload::<i64>() {
                Ok(0..10) => Outcome::retry_in(Duration::ZERO, "once more"),
                Ok(10..15) => Outcome::fail("no"),
                Ok(15..18) => Outcome::cancel("unwanted"),
                _ => Outcome::complete(),
            }
        })
        .quick()
        .start()
        .await
        .unwrap();
    for job in jobs {
        let _ = job.result(LONG).await;
    }
    worker.stop(LONG).await;
    let figures = statistics(&lavoro, "default").await.figures;
    let counted = [
        figures.completed_per_second,
        figures.retried_per_second,
        figures.cancelled_per_second,
        figures.discarded_per_second,
    ];
    let counted = counted.map(|rate| format!("{:.0}", rate * WINDOW.as_secs_f64()));
    assert_eq!(counted, ["22", "10", "3", "15"]);
    let (wait, run) = (figures.wait.unwrap(), figures.run.unwrap());
    assert!((9.0..100.0).contains(&wait.p50.as_secs_f64()), "{wait:?}");
    assert!(run.p50 >= Duration::from_millis(27) && run.p99 >= run.p50, "{run:?}");
    let attempts: i64 = database
        .one("select sum((select sum(n) from unnest(ran) n))::bigint from lavoro.tally")
        .await;
    assert_eq!(attempts, 50);
    let begun: i64 = database
        .one("select sum((select sum(n) from unnest(waited) n))::bigint from lavoro.tally")
        .await;
    assert_eq!(begun, 40, "second attempts have not waited");
    for (window, fine) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
        let answer = lavoro.statistics(Duration::from_secs(window)).await;
        assert_eq!(answer.err().map(|e| e.kind()), (!fine).then_some(ErrorKind::InvalidOption));
    }
}

async fn completed(database: &Database) -> i64 {
    database.one("select coalesce(sum(completed), 0)::bigint from lavoro.tally").await
}

/// A flush whose reply is lost is sent again and counts once; one that fails keeps its counts.
#[tokio::test(flavor = "multi_thread")]
async fn outages_neither_lose_nor_double_counts() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database.url).await;
    let direct = database.lavoro().await;
    let statement_timeout = Duration::from_secs(1);
    let options = ConnectOptions { statement_timeout, ..ConnectOptions::url(proxy.url()) };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .queue("default", 10)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    let run = async |count: i64| {
        for job in direct.enqueue_many((0..count).map(|n| NewJob::new("t", n))).await.unwrap() {
            job.result(LONG).await.unwrap();
        }
    };
    run(20).await;
    wait_for("a flush", async || (completed(&database).await == 20).then_some(())).await;
    // A flush is under way when answers begin to get lost. Then nothing gets through.
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::raw_sql("select 1 from lavoro.tally for update").execute(&mut *lock).await.unwrap();
    run(7).await;
    let sql = "select count(*) from pg_stat_activity
               where wait_event_type = 'Lock' and query like '-- Records what a worker did%'
                 and datname = current_database()";
    wait_for("a flush that waits", async || (database.one::<i64>(sql).await > 0).then_some(()))
        .await;
    proxy.swallow_replies(true);
    lock.rollback().await.unwrap();
    wait_for("a flush without an answer", async || (completed(&database).await > 20).then_some(()))
        .await;
    proxy.refuse(true);
    proxy.cut();
    proxy.swallow_replies(false);
    wait_for("the outage to be felt", async || (!worker.health().healthy).then_some(())).await;
    proxy.refuse(false);
    run(5).await;
    wait_for("all to be counted", async || (completed(&database).await >= 32).then_some(())).await;
    worker.stop(LONG).await;
    assert_eq!(completed(&database).await, 32);
    database.assert_sound().await;
}

/// Slices older than an hour become rows of an hour, those older than a day one row, and totals
/// stay, however many fold.
#[tokio::test(flavor = "multi_thread")]
async fn old_slices_are_folded_and_totals_stay() {
    let database = Database::new().await;
    let insert = async |workers: &str, hours: &str, classes: &str| {
        database
            .run(&format!(
                "insert into lavoro.tally (worker_id, slice, queue, task, begun_at, updated_at, changes,
                                           completed, retried, cancelled, discarded, waited, ran)
                 select w, s, 'q', 't', date_trunc('hour', now()) - s * interval '1 hour',
                        date_trunc('hour', now()) - s * interval '1 hour' + interval '50 seconds',
                        1, 1, 2, 3, 4, '{classes}', '{classes}'
                 from generate_series({workers}) w, generate_series({hours}) s"
            ))
            .await;
    };
    // Of the last 24 hours, and of two days ago.
    insert("1, 3", "2, 10", "{1}").await;
    insert("1, 3", "48, 50", "{1}").await;
    let timing = Timing { prune: Duration::from_millis(50), ..quick() };
    let maintain = async || {
        let options =
            ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(&database.url) };
        Lavoro::connect_with(options).await.unwrap()
    };
    let maintainers = [maintain().await, maintain().await, maintain().await];
    let folded = async || {
        let slices = "select count(*) from lavoro.tally where worker_id <> 0";
        (database.one::<i64>(slices).await == 0).then_some(())
    };
    wait_for("old slices to be folded", folded).await;
    // More of hours that are folded already, with longer waits.
    insert("4, 4", "2, 10", "{0,5}").await;
    wait_for("these too", folded).await;
    let sql =
        "select count(*) from lavoro.tally where slice <> 0 and waited = '{3,5}' and ran = '{3,5}'";
    assert_eq!(database.one::<i64>(sql).await, 9);
    let text = maintainers[0].metrics(WINDOW).await.unwrap();
    let totals = [("completed", 45), ("retried", 90), ("cancelled", 135), ("discarded", 180)];
    for (outcome, total) in totals {
        let line = format!(
            "lavoro_attempts_total{{queue=\"q\",task=\"t\",outcome=\"{outcome}\"}} {total}\n"
        );
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let day = maintainers[0].statistics(Duration::from_hours(24)).await.unwrap();
    let completed = day[0].figures.completed_per_second * 86_400.0;
    assert!((completed - 36.0).abs() < 0.01, "{completed}");
    assert_eq!(day[0].figures.wait.unwrap().p50.as_micros(), 109);
    assert!(maintainers[0].statistics(WINDOW).await.unwrap().is_empty());
    for maintainer in maintainers {
        maintainer.close().await;
    }
}

/// Of a slice that began before the window, the share within counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_counts_as_far_as_it_lies_in_the_window() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database
        .run(
            "insert into lavoro.tally (worker_id, slice, queue, task, begun_at, updated_at, changes,
                                       completed, retried, cancelled, discarded, waited, ran)
             values (1, 1, 'q', 't', now() - interval '90 seconds', now() - interval '30 seconds',
                     1, 600, 0, 0, 0, '{0,0,5}', '{}')",
        )
        .await;
    let of = async |window| {
        let all = lavoro.statistics(Duration::from_secs(window)).await.unwrap();
        all.into_iter().next().map(|of| of.figures)
    };
    let figures = of(60).await.unwrap();
    let within = figures.completed_per_second * 60.0;
    assert!((250.0..=300.0).contains(&within), "{within} of 600");
    assert_eq!(figures.run, None);
    assert_eq!(figures.wait.unwrap().p50.as_micros(), 129);
    assert!((of(300).await.unwrap().completed_per_second - 2.0).abs() < 0.001);
    assert!(of(10).await.is_none(), "it is older than that");
}
