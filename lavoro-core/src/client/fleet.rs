//! The workers of a database, and what none of them handles.

use super::Lavoro;
use crate::error::Result;
use crate::fleet::WorkerInfo;
use crate::limits;
use crate::store::Unhandled;
use std::sync::Arc;

impl Lavoro {
    /// The workers that have not ended, oldest first: those that live, and those that have been
    /// silent for longer than their lease.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        let store = Arc::clone(&self.inner.store);
        self.run(async move { store.workers(false).await }).await
    }

    /// All workers in the books, oldest first: those that have ended stay as long as the jobs
    /// that they ran may.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn all_workers(&self) -> Result<Vec<WorkerInfo>> {
        let store = Arc::clone(&self.inner.store);
        self.run(async move { store.workers(true).await }).await
    }

    /// Queues and tasks with waiting jobs that no live worker handles.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn unhandled(&self) -> Result<Vec<Unhandled>> {
        let store = Arc::clone(&self.inner.store);
        self.run(async move { store.unhandled().await }).await
    }

    /// Whether a live worker handles this task in this queue.
    ///
    /// # Errors
    /// `invalid_queue`, `invalid_task`, or what is wrong with the database.
    pub async fn is_handled(
        &self,
        queue: impl Into<String>,
        task: impl Into<String>,
    ) -> Result<bool> {
        let (queue, task) = (queue.into(), task.into());
        limits::check_queue(&queue)?;
        limits::check_task(&task)?;
        let store = Arc::clone(&self.inner.store);
        let lanes = self.run(async move { store.handled(vec![(queue, task)]).await }).await?;
        Ok(lanes.into_iter().any(|(_, _, handled)| handled))
    }
}
