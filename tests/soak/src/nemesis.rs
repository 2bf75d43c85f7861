//! What strikes, in an order that follows from the seed.

use crate::Result;
use crate::cluster::Cluster;
use crate::fault::Class;
use crate::fleet::{Fleet, Role};
use crate::log::{Log, now};
use crate::options::Options;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use lavoro_core::{JobEdit, JobFilter, JobState, Lavoro};
use lavoro_tests::Reply;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::postgres::PgPool;
use sqlx::{Connection as _, PgConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// One fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) class: Class,
    /// What victims and variants are chosen by.
    pub(crate) dice: u64,
    /// How long to leave them in peace afterwards, in thousandths of a lease.
    pub(crate) calm: u32,
}

/// All decisions, in their order: a function of classes, counts and seed.
pub(crate) fn plan(faults: &[(Class, u32)], seed: u64) -> Vec<Decision> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut classes: Vec<Class> =
        faults.iter().flat_map(|(class, count)| (0..*count).map(|_| *class)).collect();
    classes.shuffle(&mut random);
    classes
        .into_iter()
        .map(|class| Decision {
            class,
            dice: random.random(),
            calm: random.random_range(200..1600),
        })
        .collect()
}

/// The nemesis.
pub(crate) struct Nemesis<'a> {
    pub(crate) options: &'a Options,
    pub(crate) cluster: &'a Cluster,
    pub(crate) fleet: &'a Arc<Fleet>,
    pub(crate) log: &'a Log,
    pub(crate) pool: PgPool,
    pub(crate) lavoro: Lavoro,
    pub(crate) clock: i64,
}

impl Nemesis<'_> {
    /// Strikes until the plan or the time is over. Leaves everything running.
    pub(crate) async fn run(&mut self) -> Result<()> {
        let began = Instant::now();
        for decision in plan(&self.options.faults, self.options.seed) {
            if began.elapsed() > self.options.limit || self.options.is_enough() {
                self.log.line(format_args!("note time is over at {}", now()));
                break;
            }
            let from = now();
            let victims = self.strike(decision).await?;
            let names: Vec<String> = victims.iter().map(u32::to_string).collect();
            let names = if names.is_empty() { "-".to_owned() } else { names.join(",") };
            self.log.line(format_args!("fault {} {from} {} {names}", decision.class, now()));
            sleep(self.options.lease * decision.calm / 1000).await;
        }
        Ok(())
    }

    /// Does one thing. Answers the processes that it hit; none: all.
    async fn strike(&mut self, decision: Decision) -> Result<Vec<u32>> {
        let Decision { class, dice, .. } = decision;
        let lease = self.options.lease;
        match class {
            Class::KillWorker => Ok(self.kill(Role::Worker, dice)),
            Class::KillProducer => Ok(self.kill(Role::Producer, dice)),
            Class::Freeze => Ok(self.freeze(dice).await),
            Class::Terminate => self.terminate(dice).await,
            Class::Restart => {
                self.cluster.down()?;
                self.start_server().await
            }
            Class::Outage => {
                self.cluster.down()?;
                sleep(lease * 2).await;
                self.start_server().await
            }
            Class::Refuse | Class::Drop | Class::Delay | Class::Blackhole | Class::Swallow => {
                Ok(self.network(class, dice).await)
            }
            Class::Deadlock => self.deadlock().await,
            Class::Pin => self.pin().await,
            Class::Storm => self.storm().await,
            Class::DiskFull => self.fill().await,
            Class::ClockJump => {
                // Forwards and back. At the end the clock stands at its farthest, so that what
                // was put off while it was there becomes due.
                let there = if dice.is_multiple_of(2) { 3600 } else { -3600 };
                self.clock = (self.clock + there).clamp(-3600, 3600);
                self.cluster.set_clock(self.clock)?;
                sleep(lease + Duration::from_secs(1)).await;
                // That it has jumped is not taken for granted.
                let row = sqlx::query_scalar::<_, f64>(
                    "select extract(epoch from clock_timestamp())::float8",
                );
                let there = row.fetch_one(&self.pool).await?;
                let here = std::time::UNIX_EPOCH.elapsed()?.as_secs_f64();
                self.log.line(format_args!("note the server's clock is {:+.0} s", there - here));
                Ok(Vec::new())
            }
            Class::Stall => Ok(Vec::new()),
        }
    }

    fn kill(&self, role: Role, dice: u64) -> Vec<u32> {
        let victim = self.fleet.pick(role, dice);
        if let Some(pid) = victim {
            self.fleet.signal(pid, Signal::SIGKILL);
        }
        victim.into_iter().collect()
    }

    async fn freeze(&self, dice: u64) -> Vec<u32> {
        let victim = self.fleet.pick(Role::Worker, dice);
        if let Some(pid) = victim {
            self.fleet.signal(pid, Signal::SIGSTOP);
            sleep(self.options.lease * 2).await;
            self.fleet.signal(pid, Signal::SIGCONT);
        }
        victim.into_iter().collect()
    }

    /// Random sessions, ten times in a quarter of a lease.
    async fn terminate(&self, dice: u64) -> Result<Vec<u32>> {
        let share = if dice.is_multiple_of(3) { 1.0 } else { 0.4 };
        for _ in 0..10 {
            sqlx::query(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where application_name like 'lavoro%' and random() < $1",
            )
            .bind(share)
            .execute(&self.pool)
            .await?;
            sleep(self.options.lease / 40).await;
        }
        Ok(Vec::new())
    }

    /// The first statement shows that it serves again.
    async fn start_server(&self) -> Result<Vec<u32>> {
        self.cluster.up()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = sqlx::query("select 1").execute(&self.pool).await {
            if Instant::now() > deadline {
                return Err(error.into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Vec::new())
    }

    async fn network(&self, class: Class, dice: u64) -> Vec<u32> {
        let Some((pid, proxy)) = self.fleet.pick_proxied(dice) else { return Vec::new() };
        let lease = self.options.lease;
        match class {
            Class::Refuse => {
                proxy.refuse(true);
                proxy.cut();
                sleep(lease * 2).await;
                proxy.refuse(false);
            }
            Class::Drop => {
                for _ in 0..5 {
                    proxy.cut();
                    sleep(lease / 20).await;
                }
            }
            Class::Delay => {
                proxy.delay(Duration::from_millis(20 + dice % 180));
                sleep(lease).await;
                proxy.delay(Duration::ZERO);
            }
            Class::Blackhole => {
                proxy.swallow_replies(true);
                sleep(lease * 2).await;
                // What vanished cannot come back: such connections end.
                proxy.cut();
                proxy.swallow_replies(false);
            }
            _ => {
                let reply = if dice.is_multiple_of(2) { Reply::Commit } else { Reply::Statement };
                let lost = proxy.lost();
                proxy.lose(reply);
                let deadline = Instant::now() + lease;
                while proxy.lost() == lost && Instant::now() < deadline {
                    sleep(Duration::from_millis(2)).await;
                }
            }
        }
        vec![pid]
    }

    /// Four kinds of bulk changes of the same jobs, against each other and against workers.
    async fn deadlock(&self) -> Result<Vec<u32>> {
        let storm = |state| JobFilter {
            task: Some("storm".to_owned()),
            state,
            limit: 1000,
            ..JobFilter::default()
        };
        for _ in 0..3 {
            let (cancel, edit) = (self.lavoro.cancel_jobs(storm(None)), JobEdit::new().priority(1));
            let edits = self.lavoro.edit_jobs(storm(None), edit);
            let retries = self.lavoro.retry_jobs(storm(Some(JobState::Cancelled)));
            let waiting = self.lavoro.retry_jobs(storm(Some(JobState::Scheduled)));
            let deletes = self.lavoro.delete_jobs(storm(Some(JobState::Completed)));
            let changes: [BoxFuture<'_, _>; 5] =
                [cancel.boxed(), edits.boxed(), retries.boxed(), waiting.boxed(), deletes.boxed()];
            for error in join_all(changes).await.into_iter().filter_map(Result::err) {
                self.log.line(format_args!("note bulk change: {error}"));
            }
        }
        Ok(Vec::new())
    }

    async fn pin(&self) -> Result<Vec<u32>> {
        let mut session = PgConnection::connect(&self.cluster.url()).await?;
        sqlx::raw_sql(
            "begin isolation level repeatable read;
             select count(*) from lavoro.worker; select pg_current_xact_id()",
        )
        .execute(&mut session)
        .await?;
        sleep(self.options.lease * 2).await;
        sqlx::raw_sql("rollback").execute(&mut session).await?;
        Ok(Vec::new())
    }

    /// Takes every connection there is for half a lease, while Lavoro's own are terminated.
    async fn storm(&self) -> Result<Vec<u32>> {
        let url = self.cluster.url();
        let deadline = Instant::now() + self.options.lease / 2;
        let mut held = Vec::new();
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                         where application_name like 'lavoro%'";
        let mut last = Instant::now();
        sqlx::raw_sql(terminate).execute(&self.pool).await?;
        while Instant::now() < deadline {
            match PgConnection::connect(&url).await {
                Ok(session) => held.push(session),
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
            if last.elapsed() > self.options.lease / 8 {
                last = Instant::now();
                sqlx::raw_sql(terminate).execute(&self.pool).await?;
            }
        }
        for session in held {
            let _ = session.close_hard().await;
        }
        Ok(Vec::new())
    }

    async fn fill(&self) -> Result<Vec<u32>> {
        let disk = self.cluster.disk.as_ref().ok_or("there is no small disk")?;
        disk.fill()?;
        sleep(self.options.lease).await;
        disk.free()?;
        if !self.cluster.is_up() {
            // It panicked. What it restarts by itself may still be on its way.
            sleep(Duration::from_millis(500)).await;
        }
        if !self.cluster.is_up() {
            self.cluster.up()?;
        }
        self.start_server().await
    }
}
