//! Schedules: each slot is decided once and becomes one job, and runs do not overlap.

use chrono::{DateTime, TimeDelta, Utc};
use lavoro_core::{
    ConnectOptions, ErrorKind, Job, JobState, Lavoro, Missed, NewJob, Overlap, Schedule, SlotInfo,
    Worker,
};
use lavoro_tests::{Database, Quick, quick, wait_for};
use serde_json::json;
use std::time::Duration;

fn task() -> NewJob {
    NewJob::new("t", json!({"n": 1})).queue("q").tags(["a"]).metadata(json!({"k": "v"}))
}

/// A client that does maintenance, and so fires.
async fn firer(database: &Database) -> Lavoro {
    let options =
        ConnectOptions { maintenance: true, timing: quick(), ..ConnectOptions::url(&database.url) };
    Lavoro::connect_with(options).await.unwrap()
}

/// As if nobody had looked at a schedule for so long.
async fn away(database: &Database, span: &str) {
    database
        .run(&format!(
            "update lavoro.schedule_state
             set decided = clock_timestamp() - interval '{span}', next_at = '-infinity'"
        ))
        .await;
}

/// The decisions once a firer has looked.
async fn decided(lavoro: &Lavoro, name: &str, at_least: usize) -> Vec<SlotInfo> {
    wait_for("decisions", async || {
        Some(lavoro.slots(name, 1000).await.unwrap()).filter(|slots| slots.len() >= at_least)
    })
    .await
}

fn count(slots: &[SlotInfo], decision: &str) -> usize {
    slots.iter().filter(|slot| slot.decision == decision).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_fires_a_schedule_and_its_job_knows_its_slot() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.declare(Schedule::new("every second", task()).every("second")).await.unwrap();
    let worker = Worker::builder(&lavoro)
        .queue("q", 5)
        .handler("t", |job: Job| async move {
            let slot = job.slot().unwrap();
            Ok::<_, lavoro_core::Error>(json!([slot.schedule, slot.slot, job.metadata_json()]))
        })
        .quick()
        .start()
        .await
        .unwrap();
    let slots = decided(&lavoro, "every second", 3).await;
    let fired = slots.iter().rfind(|slot| slot.decision == "fired").unwrap();
    let job = lavoro.job(fired.job.unwrap());
    let result: (String, DateTime<Utc>, String) =
        job.result(Duration::from_secs(30)).await.unwrap().value().unwrap();
    assert_eq!((result.0.as_str(), result.1), ("every second", fired.slot));
    let info = job.info().await.unwrap();
    assert_eq!(info.slot().unwrap().slot, fired.slot);
    assert_eq!(info.metadata.as_ref().unwrap()["k"], "v");
    assert_eq!((info.queue.as_str(), info.tags.len(), &info.payload), ("q", 1, &json!({"n": 1})));
    let late = info.created_at - fired.slot;
    assert!(late < TimeDelta::seconds(5), "fired {late} after its slot");
    worker.stop(Duration::from_secs(10)).await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passed_while_nobody_was_running_goes_by_the_policy() {
    let hour = Duration::from_hours(1);
    let day = Duration::from_hours(24);
    // The outage lasts 10 minutes and a bit: 10 or 11 slots, none on time but perhaps one.
    for (missed, fires) in [
        (Missed::Skip, 0..=1),
        (Missed::Latest { within: day }, 1..=1),
        (Missed::Latest { within: Duration::ZERO }, 0..=1),
        (Missed::All { within: hour, limit: 1000 }, 10..=11),
        (Missed::All { within: hour, limit: 4 }, 4..=5),
        (Missed::All { within: Duration::from_mins(5), limit: 1000 }, 4..=6),
    ] {
        let database = Database::new().await;
        let lavoro = database.lavoro().await;
        let overlap =
            if matches!(missed, Missed::All { .. }) { Overlap::Allow } else { Overlap::Skip };
        let schedule = Schedule::new("s", task()).every("minute").missed(missed).overlap(overlap);
        lavoro.declare(schedule).await.unwrap();
        away(&database, "10 minutes 5 seconds").await;
        let firer = firer(&database).await;
        let slots = decided(&lavoro, "s", 10).await;
        let fired = count(&slots, "fired");
        assert!(fires.contains(&fired), "{missed:?} fired {fired} of {}", slots.len());
        assert_eq!(count(&slots, "missed"), slots.len() - fired);
        let jobs: i64 = database.one("select count(*) from lavoro.job").await;
        assert_eq!(usize::try_from(jobs).unwrap(), fired);
        // The latest fire, in order.
        let first = slots.iter().position(|slot| slot.decision == "missed").unwrap_or(slots.len());
        assert!(slots[first..].iter().all(|slot| slot.decision == "missed"), "{slots:?}");
        firer.close().await;
        database.assert_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_is_recorded_in_few_rows_and_leaves_no_slot_out() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.declare(Schedule::new("s", task()).every("second")).await.unwrap();
    away(&database, "400 days").await;
    let firer = firer(&database).await;
    decided(&lavoro, "s", 1000).await;
    firer.close().await;
    // Every second from then to now lies in exactly one row.
    let gaps: i64 = database
        .one(
            "select count(*) from (
                 select s.slot - lag(coalesce(s.until, s.slot)) over (order by s.slot) as step
                 from lavoro.slot s
             ) q where step <> interval '1 second'",
        )
        .await;
    assert_eq!(gaps, 0);
    let rows: i64 = database.one("select count(*) from lavoro.slot").await;
    assert!((1000..1100).contains(&rows), "{rows} rows");
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_skipped_while_the_previous_run_has_not_ended() {
    let database = Database::new().await;
    let lavoro = firer(&database).await;
    lavoro.declare(Schedule::new("s", task()).every("second")).await.unwrap();
    let slots = decided(&lavoro, "s", 4).await;
    assert_eq!(count(&slots, "fired"), 1, "{slots:?}");
    assert_eq!(count(&slots, "skipped"), slots.len() - 1);
    assert_eq!(slots[0].reason.as_deref(), Some("the previous run has not ended"));
    // As soon as it has ended, the next slot fires.
    let job = lavoro.schedule("s").await.unwrap().last_job.unwrap();
    lavoro.job(job).cancel().await.unwrap();
    wait_for("another run", async || {
        lavoro.schedule("s").await.unwrap().last_job.filter(|latest| *latest != job)
    })
    .await;
    lavoro.close().await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_waits_for_the_previous_run_if_told_to() {
    let database = Database::new().await;
    let lavoro = firer(&database).await;
    let schedule = Schedule::new("s", task()).every("second").overlap(Overlap::Queue);
    lavoro.declare(schedule).await.unwrap();
    let slots = decided(&lavoro, "s", 4).await;
    assert_eq!((count(&slots, "fired"), count(&slots, "queued")), (1, 1), "{slots:?}");
    let waiting = slots.iter().find(|slot| slot.decision == "queued").unwrap().slot;
    assert_eq!(lavoro.schedule("s").await.unwrap().queued, Some(waiting));
    let job = lavoro.schedule("s").await.unwrap().last_job.unwrap();
    lavoro.job(job).cancel().await.unwrap();
    let fired = wait_for("the waiting slot", async || {
        let slots = lavoro.slots("s", 1000).await.unwrap();
        slots.into_iter().find(|slot| slot.slot == waiting && slot.decision == "fired")
    })
    .await;
    assert!(fired.job.unwrap() > job);
    lavoro.close().await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_edits_outlive_a_declaration_until_it_changes() {
    let database = Database::new().await;
    let lavoro = firer(&database).await;
    let declaration = || Schedule::new("s", task()).cron("0 9 * * *").time_zone("Europe/Rome");
    lavoro.declare(declaration()).await.unwrap();
    lavoro.pause_schedule("s").await.unwrap();
    lavoro.declare(declaration()).await.unwrap();
    let paused = lavoro.schedule("s").await.unwrap();
    assert!(paused.paused_at.is_some() && paused.next.is_empty() && paused.declared);
    lavoro.replace_schedule(Schedule::new("s", task()).cron("0 10 * * *")).await.unwrap();
    lavoro.declare(declaration()).await.unwrap();
    let edited = lavoro.schedule("s").await.unwrap();
    assert_eq!(edited.cron.as_deref(), Some("0 10 * * *"), "the edit stays");
    assert!(edited.paused_at.is_some(), "and so does the pause");
    lavoro.declare(declaration().jitter(Duration::from_secs(5))).await.unwrap();
    let changed = lavoro.schedule("s").await.unwrap();
    assert_eq!((changed.cron.as_deref(), changed.jitter_ms), (Some("0 9 * * *"), 5000));
    assert_eq!((changed.paused_at, changed.next.len()), (None, 5));
    // A pause has no slots, so none is missed.
    lavoro.pause_schedule("s").await.unwrap();
    database.run("update lavoro.schedule_state set decided = now() - interval '9 days'").await;
    lavoro.resume_schedule("s").await.unwrap();
    wait_for("the next slot", async || {
        let next: Option<bool> = database
            .one("select nullif(next_at, '-infinity') > now() from lavoro.schedule_state")
            .await;
        next.filter(|reckoned| *reckoned)
    })
    .await;
    assert!(lavoro.slots("s", 10).await.unwrap().is_empty());
    lavoro.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_no_process_declares_any_more_is_told_and_stays() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    let process = database.lavoro().await;
    process.declare(Schedule::new("s", task()).every("hour")).await.unwrap();
    lavoro.add_schedule(Schedule::new("by hand", task()).every("hour")).await.unwrap();
    let told = async || {
        let list = lavoro.schedules().await.unwrap();
        list.iter().map(|info| (info.name.clone(), info.undeclared)).collect::<Vec<_>>()
    };
    assert_eq!(told().await, [("by hand".into(), false), ("s".into(), false)]);
    process.close().await;
    assert_eq!(told().await, [("by hand".into(), false), ("s".into(), true)]);
    assert!(lavoro.remove_schedule("s").await.unwrap());
    assert!(!lavoro.remove_schedule("s").await.unwrap());
    assert_eq!(told().await, [("by hand".into(), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_is_refused_while_one_is_going_on() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    lavoro.add_schedule(Schedule::new("s", task()).cron("@yearly")).await.unwrap();
    let job = lavoro.run_schedule("s").await.unwrap();
    let info = job.info().await.unwrap();
    assert_eq!((info.state, info.slot().unwrap().schedule.as_str()), (JobState::Available, "s"));
    let error = lavoro.run_schedule("s").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState, "{error}");
    job.cancel().await.unwrap();
    lavoro.run_schedule("s").await.unwrap();
    let slots = lavoro.slots("s", 10).await.unwrap();
    assert!(slots.iter().all(|slot| slot.reason.as_deref() == Some("run by hand")), "{slots:?}");
    let error = lavoro.run_schedule("none").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ScheduleNotFound);
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_fire_says_why_and_does_not_stop_the_others() {
    let database = Database::new().await;
    database
        .run(
            "select lavoro.schedule_add('broken', 't', cron => '0 0 30 2 *');
             select lavoro.schedule_add('nowhere', 't', every => '1 hour', time_zone => 'Mars');
             select lavoro.schedule_add('fine', 't', every => '1 second', overlap => 'allow')",
        )
        .await;
    let lavoro = firer(&database).await;
    decided(&lavoro, "fine", 1).await;
    let problem = lavoro.schedule("broken").await.unwrap().problem.unwrap();
    assert!(problem.contains("never comes true"), "{problem}");
    let problem = lavoro.schedule("nowhere").await.unwrap().problem.unwrap();
    assert!(problem.contains("Mars"), "{problem}");
    // Replaced by one that can, it goes on.
    lavoro.replace_schedule(Schedule::new("broken", task()).every("second")).await.unwrap();
    decided(&lavoro, "broken", 1).await;
    assert_eq!(lavoro.schedule("broken").await.unwrap().problem, None);
    lavoro.close().await;
    database.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_made_by_sql_has_every_option() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database
        .run(
            "select lavoro.schedule_add('s', 't', every => '1 second', expires_in => '90 seconds',
                 backoff => '{\"kind\": \"fixed\", \"base_ms\": 5, \"max_ms\": 5, \"jitter\": 0}',
                 on_discarded => 'apology', missed => 'all', missed_within => '1 hour', missed_limit => 7,
                 overlap => 'allow')",
        )
        .await;
    let schedule = lavoro.schedule("s").await.unwrap();
    assert_eq!((schedule.missed.as_str(), schedule.missed_limit), ("all", Some(7)));
    assert_eq!((schedule.missed_within_ms, schedule.expires_ms), (Some(3_600_000), Some(90_000)));
    assert_eq!(schedule.on_discarded.as_deref(), Some("apology"));
    let job = lavoro.run_schedule("s").await.unwrap().id();
    let made: String = database
        .one(
            "select concat_ws(' ', j.on_discarded, j.backoff ->> 'base_ms',
                              extract(epoch from j.expires_at - j.created_at)::int)
             from lavoro.job j",
        )
        .await;
    assert_eq!(made, "apology 5 90", "job {job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_schedule_made_by_sql_is_named() {
    let database = Database::new().await;
    for (option, code, named) in [
        ("expires_in => '0'", "LV008", "expires_in"),
        ("expires_in => '4000 days'", "LV008", "expires_in"),
        ("on_discarded => ''", "LV001", "on_discarded"),
        ("backoff => '{}'", "LV008", "backoff"),
        ("missed_within => '-1 s'", "LV040", "missed_within"),
        ("missed_within => '4000 days'", "LV040", "missed_within"),
        ("missed => 'skip', missed_within => '1 s'", "LV040", "missed_within"),
        ("missed_limit => 5", "LV040", "missed_limit"),
        ("missed => 'all', overlap => 'allow', missed_limit => 0", "LV040", "missed_limit"),
        ("missed => 'all', overlap => 'allow', missed_limit => 1001", "LV040", "missed_limit"),
    ] {
        let sql = format!("select lavoro.schedule_add('bad', 't', every => '1 second', {option})");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await;
        let refused = refused.unwrap_err();
        let refused = refused.as_database_error().unwrap();
        assert_eq!(refused.code().as_deref(), Some(code), "{option}: {refused}");
        assert!(refused.message().contains(named), "{option}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_by_pages() {
    let database = Database::new().await;
    let lavoro = database.lavoro().await;
    database
        .run(
            "select lavoro.schedule_add(name, 't', every => '1 day')
             from (select 's' || lpad(n::text, 4, '0') as name from generate_series(1, 1500) n
                   union all select repeat('\u{10ffff}', 63)) names",
        )
        .await;
    let names = |page: Vec<lavoro_core::ScheduleInfo>| -> Vec<String> {
        page.into_iter().map(|schedule| schedule.name).collect()
    };
    let all = names(lavoro.schedules().await.unwrap());
    assert_eq!(all.len(), 1501);
    assert!(all.is_sorted());
    let page = names(lavoro.schedules_after(None, 2).await.unwrap());
    assert_eq!(page, ["s0001", "s0002"]);
    let page = names(lavoro.schedules_after(Some("s0002"), 1000).await.unwrap());
    assert_eq!((page.len(), page[0].as_str()), (1000, "s0003"));
    let rest = names(lavoro.schedules_after(Some("s1499"), 1000).await.unwrap());
    assert_eq!(rest, all[1499..]);
    assert_eq!(lavoro.schedule(&rest[1]).await.unwrap().name, rest[1]);
    for limit in [0, 1001] {
        let refused = lavoro.schedules_after(None, limit).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_option");
    }
    assert_eq!(lavoro.schedule("s0000").await.unwrap_err().code(), "schedule_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_declare_at_once_make_one_schedule() {
    let database = Database::new().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(database.lavoro().await);
    }
    let calls: Vec<_> = clients
        .iter()
        .map(|client| {
            let client = client.clone();
            tokio::spawn(async move {
                client.declare(Schedule::new("s", task()).every("hour")).await.unwrap();
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let rows: i64 = database.one("select count(*) from lavoro.schedule_state").await;
    assert_eq!(rows, 1);
    assert!(!clients[0].schedule("s").await.unwrap().undeclared);
}
