//! What runs inside the caller's own transaction.

use super::enqueue::{bind_job, text_parameters};
use super::{Store, translate};
use crate::error::Result;
use crate::job::JobId;
use crate::json::Json;
use crate::new_job::{CheckedJob, Enqueued};
use sqlx::Row as _;
use uuid::Uuid;

/// A statement's text and its parameters, each of which is text.
pub(crate) type Call = (String, Vec<Option<String>>);

impl Store {
    /// Enqueues one job inside the caller's own transaction.
    pub(crate) async fn enqueue_in(
        &self,
        connection: &mut sqlx::PgConnection,
        job: &CheckedJob,
    ) -> Result<Enqueued> {
        let query = bind_job(self.query(&self.sql.enqueue_one), job);
        let row = query.fetch_one(connection).await.map_err(translate)?;
        Ok(Enqueued { id: row.get("id"), created: row.get("created") })
    }

    /// Completes a running job inside the caller's own transaction.
    pub(crate) async fn complete_in(
        &self,
        connection: &mut sqlx::PgConnection,
        job: JobId,
        token: Uuid,
        result: Option<Json>,
    ) -> Result<()> {
        let query = self.query(&self.sql.complete_one).bind(job).bind(token);
        let query = query.bind(result.map(|json| json.as_str().to_owned()));
        query.execute(connection).await.map(drop).map_err(translate)
    }

    /// The statement that enqueues a job, for another driver.
    pub(crate) fn enqueue_call(&self, job: &CheckedJob) -> Call {
        (code(&self.sql.enqueue_call), text_parameters(job))
    }

    /// The statement that completes a running job, for another driver.
    pub(crate) fn complete_call(&self, job: JobId, token: Uuid, result: Option<Json>) -> Call {
        let result = result.map(|json| json.as_str().to_owned());
        let parameters = vec![Some(job.to_string()), Some(token.to_string()), result];
        (code(&self.sql.complete_call), parameters)
    }
}

/// A statement without the comment at its head.
fn code(statement: &str) -> String {
    let lines = statement.lines().skip_while(|line| line.starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}
