//! Promoting and rescuing, by any number of processes at once.

use lavoro_core::{ConnectOptions, JobState, Lavoro, NewJob, Outcome, Timing, Worker};
use lavoro_tests::{Database, Proxy, Quick as _, quick, wait_for};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

async fn maintainer(database: &Database, timing: Timing) -> Lavoro {
    let options =
        ConnectOptions { maintenance: true, timing, ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

/// Eight maintainers and no worker: each due job becomes available once.
#[tokio::test(flavor = "multi_thread")]
async fn many_promoters_promote_each_job_once() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let jobs = (0..500).map(|n| NewJob::new("t", n).delay(Duration::from_millis(n % 300)));
    lavoro.enqueue_many(jobs).await.unwrap();
    lavoro.enqueue(NewJob::new("t", 1).delay(Duration::from_hours(1))).await.unwrap();
    let mut maintainers = Vec::new();
    for _ in 0..8 {
        maintainers.push(maintainer(&database, quick()).await);
    }
    wait_for("all due jobs to be available", async || {
        let queue = lavoro.queues().await.unwrap().remove(0);
        ((queue.available, queue.scheduled) == (500, 1)).then_some(())
    })
    .await;
    database.assert_sound().await;
    for maintainer in maintainers {
        maintainer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_worker_rescues_when_it_is_asked_to_maintain() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    // A worker that claimed the job and was never heard of again.
    database
        .run(
            "insert into lavoro.worker (id, beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values (77, now(), now(), 1500, 1, 'gone', 'h', 'rust', '0', '{}', '{t}');
             with pack as (delete from lavoro.ready returning jobs)
             insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
             select gen_random_uuid(), 77, now(), jobs, '{1}' from pack",
        )
        .await;
    assert_eq!(job.info().await.unwrap().state, JobState::Running);
    let maintainer = maintainer(&database, quick()).await;
    wait_for("the rescue", async || {
        (job.info().await.unwrap().state == JobState::Available).then_some(())
    })
    .await;
    let ended: bool = database.one("select ended_at is not null from lavoro.worker").await;
    assert!(ended);
    database.assert_sound().await;
    maintainer.close().await;
}

/// A worker that was taken for lost, and lives, must not be able to claim under its old number
/// once its leases are gone: its heartbeat would keep a job that it knows nothing of from being
/// rescued. So it is ended together with the rescue, and not a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_is_ended_together_with_its_rescue() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    // Whoever ends it after its leases are gone comes too late: a heartbeat was faster.
    database
        .run(
            "insert into lavoro.worker (id, beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values (77, now(), now(), 1500, 1, 'slow', 'h', 'rust', '0', '{}', '{t}');
             with pack as (delete from lavoro.ready returning jobs)
             insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
             select gen_random_uuid(), 77, now(), jobs, '{1}' from pack;
             create function too_late() returns trigger language plpgsql as $$
             begin
                 if exists (select from lavoro.lease l where l.worker_id = new.id) then
                     return new;
                 end if;
                 return null;
             end $$;
             create trigger beat before update on lavoro.worker for each row
             execute function too_late()",
        )
        .await;
    let maintainer = maintainer(&database, quick()).await;
    wait_for("the rescue", async || {
        (job.info().await.unwrap().state == JobState::Available).then_some(())
    })
    .await;
    assert!(database.one::<bool>("select ended_at is not null from lavoro.worker").await);
    maintainer.close().await;
    database.assert_sound().await;
}

/// A worker is judged lost, and shows that it lives before the rescue has begun: the rescue looks
/// once more, and leaves it alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_between_judgement_and_rescue_is_heard() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let job = lavoro.enqueue(NewJob::new("t", 1)).await.unwrap();
    database
        .run(
            "insert into lavoro.worker (id, beat_at, started_at, lease_ms, pid, name, host, language,
                                        version, queues, tasks)
             values (77, now(), now(), 1500, 1, 'slow', 'h', 'rust', '0', '{}', '{t}');
             with pack as (delete from lavoro.ready returning jobs)
             insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
             select gen_random_uuid(), 77, now(), jobs, '{1}' from pack",
        )
        .await;
    let proxy = Proxy::start(&database.url).await;
    proxy.hold_begins(true);
    let options =
        ConnectOptions { maintenance: true, timing: quick(), ..ConnectOptions::url(proxy.url()) };
    let maintainer = Lavoro::connect_with(options).await.unwrap();
    wait_for("a rescue to be about to begin", async || (proxy.held() > 0).then_some(())).await;
    // From now on it is never silent.
    database.run("update lavoro.worker set beat_at = now() + interval '1 hour'").await;
    proxy.hold_begins(false);
    let scans = "select count(*) from pg_stat_activity
                 where datname = current_database() and query like '-- Workers that hold leases%'
                   and query_start > (select beat_at - interval '1 hour' from lavoro.worker)";
    wait_for("the scan after it", async || (database.one::<i64>(scans).await > 0).then_some(()))
        .await;
    let info = job.info().await.unwrap();
    assert_eq!((info.state, info.errors.len()), (JobState::Running, 0), "{info:?}");
    assert!(database.one::<bool>("select ended_at is null from lavoro.worker").await);
    maintainer.close().await;
    database.assert_sound().await;
}

/// A stop while the database does not answer ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stops_without_its_database() {
    use lavoro_core::embedded::{Embedded, EmbeddedOptions};
    let start = || Embedded::start(EmbeddedOptions::memory());
    let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let options = ConnectOptions { migrate: Some(true), ..ConnectOptions::url(server.url()) };
    let lavoro = Lavoro::connect_with(options).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .handler("t", |_| async { Outcome::complete() })
        .quick()
        .start()
        .await
        .unwrap();
    lavoro.enqueue(NewJob::new("t", 1)).await.unwrap().result(LONG).await.unwrap();
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap().unwrap();
    let stopped = tokio::time::timeout(LONG, worker.stop(Duration::from_secs(1))).await;
    assert!(stopped.is_ok(), "it hangs");
}
