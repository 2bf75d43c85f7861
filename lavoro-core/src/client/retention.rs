//! Looking at and changing how long ended jobs are kept.

use super::Lavoro;
use crate::error::Result;
use crate::retention::{Retention, check_task};
use std::sync::Arc;

impl Lavoro {
    /// The rules of retention: first that of every task, with what is built in filled in, then
    /// those of single tasks by name.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn retention(&self) -> Result<Vec<Retention>> {
        let store = Arc::clone(self.store());
        self.run(async move { store.retention().await }).await
    }

    /// Sets how long ended jobs of a task, or of every task without a rule of its own, are
    /// kept. What is `None` stays as it was. The whole fleet goes by it with its next round of
    /// pruning (by default within a minute); jobs that are older by then are deleted.
    ///
    /// # Errors
    /// `invalid_option` if a time is longer than 3650 days or all are `None`, `invalid_task`,
    /// or what is wrong with the database.
    pub async fn set_retention(&self, retention: Retention) -> Result<()> {
        retention.check()?;
        let store = Arc::clone(self.store());
        self.run(async move { store.set_retention(&retention).await }).await
    }

    /// Removes the rule of a task, or with `None` that of every task. Answers whether there was
    /// one.
    ///
    /// # Errors
    /// `invalid_task`, or what is wrong with the database.
    pub async fn remove_retention(&self, task: Option<&str>) -> Result<bool> {
        check_task(task)?;
        let (store, task) = (Arc::clone(self.store()), task.unwrap_or_default().to_owned());
        self.run(async move { store.remove_retention(task).await }).await
    }
}
