//! Bringing a database's schema up to date.

use super::target::Target;
use crate::embedded::Embedded;
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::runtime::Runtime;
use crate::store::Migrator;
use std::sync::Arc;

/// Creates, upgrades and removes the schema of a database.
#[derive(Debug)]
pub struct Migrations {
    migrator: Arc<Migrator>,
    runtime: Runtime,
    /// Last, so that the server outlives the connections.
    _embedded: Option<Embedded>,
}

impl Migrations {
    /// Connects for migrating. Takes the URL, schema and pooler of `options`.
    ///
    /// # Errors
    /// As [`Lavoro::connect`], save those about the schema.
    pub async fn open(options: ConnectOptions) -> Result<Self> {
        options.check()?;
        let runtime = Runtime::new()?;
        let (migrator, embedded) = runtime
            .run(async move {
                let target = Target::resolve(&options).await?;
                let migrator = Migrator::new(target.store_options(&options))?;
                Ok((Arc::new(migrator), target.embedded))
            })
            .await?;
        Ok(Self { migrator, runtime, _embedded: embedded })
    }

    /// Applies what is missing. Answers the versions that were applied, oldest first. Safe when
    /// any number of processes do it at once, also through a transaction pooler.
    ///
    /// # Errors
    /// `schema_newer`, `permission_denied`, or what is wrong with the database.
    pub async fn apply(&self) -> Result<Vec<i32>> {
        let migrator = Arc::clone(&self.migrator);
        self.runtime.run(async move { migrator.migrate().await }).await
    }

    /// The SQL that [`apply`](Self::apply) would run now; empty if nothing is missing.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn dry_run(&self) -> Result<String> {
        let migrator = Arc::clone(&self.migrator);
        self.runtime.run(async move { migrator.dry_run().await }).await
    }

    /// Removes everything that Lavoro made in the schema, every job included, and the schema
    /// itself if nothing else is in it.
    ///
    /// # Errors
    /// What is wrong with the database.
    pub async fn uninstall(&self) -> Result<()> {
        let migrator = Arc::clone(&self.migrator);
        self.runtime.run(async move { migrator.uninstall().await }).await
    }
}
