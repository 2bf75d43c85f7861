//! Schedules: declaring them in code, and looking after them at run time.

use super::{JobHandle, Lavoro};
use crate::error::{Error, ErrorKind, Result};
use crate::schedule::{Schedule, ScheduleInfo, SlotInfo, check_name};
use crate::store::Put;
use std::sync::Arc;

/// How many decisions a schedule may be asked for.
const SLOTS: u32 = 1000;
/// How many schedules are read at once.
const PAGE: u32 = 1000;

impl Lavoro {
    /// Declares a schedule in code: makes it, or changes it if this declaration is not the one
    /// that was made before. Safe to call in every process, at every start.
    ///
    /// What was changed at run time stays until the declaration itself changes; then all of it
    /// holds, and a pause ends. While this client lives it says every minute that it declares the
    /// schedule; one that nobody declares any more is listed as `undeclared`, and goes on.
    ///
    /// # Errors
    /// `invalid_schedule`, what is wrong with the job, or what is wrong with the database.
    pub async fn declare(&self, schedule: Schedule) -> Result<()> {
        let schedule = schedule.check()?;
        let inner = Arc::clone(&self.inner);
        self.run(async move {
            let stored = inner.store.put_schedule(&schedule, Put::Declare).await?;
            inner.declarer.declares(stored.id).await
        })
        .await
    }

    /// Makes a schedule at run time.
    ///
    /// # Errors
    /// `schedule_exists`, `invalid_schedule`, what is wrong with the job, or what is wrong with
    /// the database.
    pub async fn add_schedule(&self, schedule: Schedule) -> Result<()> {
        self.put(schedule, Put::Add).await.map(drop)
    }

    /// Makes a schedule at run time, or changes all of one that exists but a pause. Answers
    /// whether it is new. A change of when its slots are counts from now on.
    ///
    /// # Errors
    /// `invalid_schedule`, what is wrong with the job, or what is wrong with the database.
    pub async fn replace_schedule(&self, schedule: Schedule) -> Result<bool> {
        self.put(schedule, Put::Replace).await
    }

    async fn put(&self, schedule: Schedule, put: Put) -> Result<bool> {
        let schedule = schedule.check()?;
        let store = Arc::clone(self.store());
        self.run(async move { Ok(store.put_schedule(&schedule, put).await?.created) }).await
    }

    /// Every schedule, by name. Where there may be many, take
    /// [`schedules_after`](Self::schedules_after).
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn schedules(&self) -> Result<Vec<ScheduleInfo>> {
        let store = Arc::clone(self.store());
        self.run(async move {
            let mut all: Vec<ScheduleInfo> = Vec::new();
            loop {
                let after = all.last().map(|last| last.name.clone());
                let page = store.schedules(after, PAGE).await?;
                let more = u32::try_from(page.len()).is_ok_and(|count| count == PAGE);
                all.extend(page);
                if !more {
                    return Ok(all);
                }
            }
        })
        .await
    }

    /// A page of the schedules, by name: up to `limit`, 1 to 1000, of those whose names come after
    /// this one in byte order. The last name of a page gives the next page.
    ///
    /// # Errors
    /// `invalid_option`, `invalid_schedule`, or what is wrong with the database.
    pub async fn schedules_after(
        &self,
        name: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ScheduleInfo>> {
        crate::limits::check_range("limit", &limit, &(1..=PAGE))?;
        name.map_or(Ok(()), check_name)?;
        let (store, name) = (Arc::clone(self.store()), name.map(str::to_owned));
        self.run(async move { store.schedules(name, limit).await }).await
    }

    /// One schedule.
    ///
    /// # Errors
    /// `schedule_not_found`, or what is wrong with the database.
    pub async fn schedule(&self, name: &str) -> Result<ScheduleInfo> {
        check_name(name)?;
        let (store, name) = (Arc::clone(self.store()), name.to_owned());
        self.run(async move { store.schedule(name.clone()).await?.ok_or_else(|| missing(&name)) })
            .await
    }

    /// The latest decisions on a schedule's slots, newest first; up to 1000. They are kept for 7
    /// days.
    ///
    /// # Errors
    /// `schedule_not_found`, `invalid_option`, or what is wrong with the database.
    pub async fn slots(&self, name: &str, limit: u32) -> Result<Vec<SlotInfo>> {
        crate::limits::check_range("limit", &limit, &(1..=SLOTS))?;
        let schedule = self.schedule(name).await?;
        let store = Arc::clone(self.store());
        self.run(async move { store.slots(schedule.id, limit).await }).await
    }

    /// Pauses a schedule: until it is resumed it has no slots, so none is missed either.
    ///
    /// # Errors
    /// `schedule_not_found`, or what is wrong with the database.
    pub async fn pause_schedule(&self, name: &str) -> Result<()> {
        self.set_schedule_paused(name, true).await
    }

    /// Resumes a schedule that is paused, or whose lost run is held: its slots count from now on.
    ///
    /// # Errors
    /// `schedule_not_found`, or what is wrong with the database.
    pub async fn resume_schedule(&self, name: &str) -> Result<()> {
        self.set_schedule_paused(name, false).await
    }

    async fn set_schedule_paused(&self, name: &str, paused: bool) -> Result<()> {
        check_name(name)?;
        let (store, name) = (Arc::clone(self.store()), name.to_owned());
        self.run(async move { store.pause_schedule(name, paused).await }).await
    }

    /// Enqueues a schedule's job now, whether or not it is paused.
    ///
    /// # Errors
    /// `schedule_not_found`; `invalid_state` if its runs must not overlap and the latest has not
    /// ended; or what is wrong with the database.
    pub async fn run_schedule(&self, name: &str) -> Result<JobHandle> {
        check_name(name)?;
        let queue = self.schedule(name).await?.queue;
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let job = self
            .run(async move {
                let (job, idle) = inner.store.run_schedule(name).await?;
                if idle {
                    inner.hinter.hint(&queue);
                }
                Ok(job)
            })
            .await?;
        Ok(self.handle(job, true))
    }

    /// Removes a schedule with its decisions; its jobs stay. Answers whether there was one. A
    /// process that declares it makes it again when it starts.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn remove_schedule(&self, name: &str) -> Result<bool> {
        check_name(name)?;
        let (store, name) = (Arc::clone(self.store()), name.to_owned());
        self.run(async move { store.remove_schedule(name).await }).await
    }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::ScheduleNotFound, format!("there is no schedule {name}"))
}
