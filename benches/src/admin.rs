//! What an operator waits for: pages of jobs, and changes of many.

use crate::Result;
use crate::cluster::Cluster;
use crate::drain::median;
use lavoro_core::{ConnectOptions, JobEdit, JobFilter, JobState, Lavoro};
use std::time::Instant;

/// Jobs of every state beside each other: of ten, six have completed, one was discarded, one
/// cancelled, one is available, one scheduled or retrying. Packs hold what is left of 64 in a row.
const FILL: &str = "
    insert into lavoro.job (id, priority, max_attempts, queue, task, tags, payload)
    select n, 0, 20, 'queue' || n / 1000 % 5, 'task' || n / 100 % 10,
           case when n % 1000 = 6 then '{rare}'::text[] end, '{\"id\": 1}'
    from generate_series(1, $JOBS) n;
    insert into lavoro.outcome (job_id, started_at, finished_at, attempt, state)
    select n, now(), now(), 1, case n % 10 when 6 then 3 when 7 then 2 else 1 end
    from generate_series(1, $JOBS) n where n % 10 < 8;
    insert into lavoro.error (job_id, token, failed_at, attempt, counted, kind, message)
    select n, gen_random_uuid(), now(), 1, true, 'failed',
           case when n % 10000 = 6 then 'Disk full' else 'connection refused' end
    from generate_series(1, $JOBS) n where n % 10 = 6;
    insert into lavoro.ready (id, priority, bytes, attempt, suspect, queue, task, jobs)
    select min(id), 0, 10 * count(*), 0, false, queue, task, array_agg(id order by id)
    from lavoro.job where id % 10 = 8 group by queue, task, id >> 10;
    insert into lavoro.scheduled (id, run_at, priority, bytes, attempt, suspect, queue, task, jobs)
    select min(id), now() + interval '1 year', 0, 10 * count(*), id % 20 / 10, false, queue, task,
           array_agg(id order by id)
    from lavoro.job where id % 10 = 9 group by queue, task, id >> 10, id % 20 / 10;
    with gone as (
        delete from lavoro.ready where id > $JOBS - 10240 returning jobs
    )
    insert into lavoro.lease (token, worker_id, claimed_at, jobs, attempts)
    select gen_random_uuid(), 1, now(), jobs, array_fill(1::smallint, array[cardinality(jobs)])
    from gone;
    select setval('lavoro.job_id_seq', $JOBS);";

/// Milliseconds for pages, and jobs per second for changes.
pub(crate) async fn operate(cluster: &Cluster) -> Result<()> {
    let db = cluster.database().await?;
    let jobs = crate::setting("JOBS", 1_000_000);
    db.execute(&FILL.replace("$JOBS", &jobs.to_string())).await?;
    db.settle().await?;
    let mut options = ConnectOptions::url(db.url());
    options.maintenance = false;
    let lavoro = Lavoro::connect_with(options).await?;
    pages(&lavoro).await?;
    changes(&lavoro, crate::setting("MANY", 100_000)).await?;
    lavoro.close().await;
    cluster.drop(db).await
}

async fn pages(lavoro: &Lavoro) -> Result<()> {
    let any = JobFilter::default;
    let rest = [
        ("", any()),
        ("task", JobFilter { task: Some("task3".into()), ..any() }),
        (
            "queue, task",
            JobFilter { task: Some("task3".into()), queue: Some("queue2".into()), ..any() },
        ),
        ("tag of 1 in 1000", JobFilter { tag: Some("rare".into()), ..any() }),
        ("error of 1 in 10000", JobFilter { error_contains: Some("disk FULL".into()), ..any() }),
        (
            "created before",
            JobFilter { created_before: Some("2001-01-01T00:00:00Z".parse()?), ..any() },
        ),
        ("deep", JobFilter { before: Some(300_000), ..any() }),
    ];
    println!("state       filter                 page of 50   jobs  pages in all  count     jobs");
    for state in JobState::ALL.map(Some).into_iter().chain([None]) {
        for (name, filter) in &rest {
            let filter = JobFilter { state, ..filter.clone() };
            let (mut times, mut found) = (Vec::new(), 0);
            for _ in 0..7 {
                let start = Instant::now();
                found = lavoro.jobs(filter.clone()).await?.jobs.len();
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            let start = Instant::now();
            let (mut pages, mut got, mut next) = (0, 0, filter.clone());
            while got < 50 {
                let page = lavoro.jobs(next.clone()).await?;
                (pages, got, next.before) = (pages + 1, got + page.jobs.len(), page.next);
                if next.before.is_none() {
                    break;
                }
            }
            let whole = start.elapsed().as_secs_f64() * 1e3;
            let start = Instant::now();
            let count = lavoro.count_jobs(filter).await?;
            println!(
                "{:11} {name:21} {:8.1} ms  {found:5}  {pages:4} {whole:6.0} ms {:6.0} ms {count:8}",
                state.map_or("any", JobState::as_str),
                median(times),
                start.elapsed().as_secs_f64() * 1e3
            );
        }
    }
    Ok(())
}

async fn changes(lavoro: &Lavoro, count: usize) -> Result<()> {
    let in_state =
        |state| JobFilter { task: Some("many".into()), state: Some(state), ..JobFilter::default() };
    let jobs = (0..count).map(|n| lavoro_core::NewJob::new("many", n));
    lavoro.enqueue_many(jobs).await?;
    for what in ["edit", "retry scheduled", "cancel", "retry cancelled", "delete"] {
        let start = Instant::now();
        let outcome = match what {
            "edit" => {
                let edit = JobEdit::new().priority(3).delay_ms(3_600_000);
                lavoro.edit_jobs(in_state(JobState::Available), edit).await?
            }
            "retry scheduled" => lavoro.retry_jobs(in_state(JobState::Scheduled)).await?,
            "cancel" => lavoro.cancel_jobs(in_state(JobState::Available)).await?,
            "retry cancelled" => lavoro.retry_jobs(in_state(JobState::Cancelled)).await?,
            _ => lavoro.delete_jobs(in_state(JobState::Available)).await?,
        };
        let rate = outcome.changed as f64 / start.elapsed().as_secs_f64();
        println!("{what:16} {rate:8.0} jobs/s of {}", outcome.changed);
        if outcome.changed != count as u64 {
            return Err(format!("{what}: {outcome:?}").into());
        }
    }
    Ok(())
}
