//! Asking what is wrong: with the database, and with jobs.

use super::Lavoro;
use super::target::Target;
use crate::doctor::{self, Finding};
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::runtime::Runtime;
use crate::store::{Migrator, Store};
use std::sync::Arc;

impl Lavoro {
    /// Checks the database, the way to it, the schema and the work in it. Answers a finding for
    /// each check, good ones included, with causes before their effects. Only reads. What this
    /// role may not look at is a finding too. Takes up to ten seconds where messages do not
    /// arrive, usually well below one.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn diagnose(&self) -> Result<Vec<Finding>> {
        let store = Arc::clone(self.store());
        self.run(async move { Ok(doctor::judge(&store.examine().await?)) }).await
    }

    /// As [`diagnose`](Self::diagnose), for a database that [`connect_with`](Self::connect_with)
    /// may refuse, since its schema is missing, outdated or too new, or the server read-only.
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with), save what becomes a finding.
    pub async fn diagnose_at(options: ConnectOptions) -> Result<Vec<Finding>> {
        options.check()?;
        let runtime = Runtime::new()?;
        let work = async move {
            let target = Target::resolve(&options).await?;
            if target.migrate {
                let migrator = Migrator::new(target.store_options(&options))?;
                migrator.migrate().await?;
                migrator.close().await;
            }
            let store = Store::open(&target.store_options(&options))?;
            let facts = store.examine().await;
            store.close().await;
            // Here the embedded server, if there is one, ends.
            Ok(doctor::judge(&facts?))
        };
        runtime.run(work).await
    }
}
