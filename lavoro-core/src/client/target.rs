//! Where the database is: from a URL, the environment, or an embedded server.

use crate::embedded::{Embedded, EmbeddedKind, EmbeddedOptions, find_project_dir};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ConnectOptions, check_schema};
use crate::store::StoreOptions;

/// The database a client will use.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) schema: String,
    pub(super) migrate: bool,
    pub(super) embedded: Option<Embedded>,
    transaction_pooler: bool,
}

impl Target {
    /// Finds the database, starting an embedded server if that is what the URL says.
    pub(super) async fn resolve(options: &ConnectOptions) -> Result<Self> {
        let given = options.url.clone();
        let given = given.or_else(|| variable("LAVORO_DATABASE_URL"));
        let given = given.or_else(|| variable("DATABASE_URL"));
        let named = given.is_some();
        let url = given.map_or_else(default_url, Ok)?;
        let schema = options
            .schema
            .clone()
            .or_else(|| variable("LAVORO_SCHEMA"))
            .unwrap_or_else(|| lavoro_migrations::DEFAULT_SCHEMA.to_owned());
        check_schema(&schema)?;
        let embedded = match embedded_options(&url)? {
            // Starting a server waits for processes and files.
            Some(server) => {
                Some(tokio::task::spawn_blocking(move || Embedded::start(server)).await.map_err(
                    |_| Error::new(ErrorKind::Internal, "the start of a server panicked"),
                )??)
            }
            None => None,
        };
        if let Some(server) = embedded.as_ref().filter(|_| !named) {
            tell(server)?;
        }
        let migrate = options.migrate.unwrap_or(embedded.is_some());
        let url = embedded.as_ref().map_or(url, Embedded::url);
        let (url, in_url) = take_pooler(&url)?;
        let transaction_pooler = options.transaction_pooler || in_url;
        Ok(Self { url, schema, migrate, embedded, transaction_pooler })
    }

    /// What a store for this database is opened with.
    pub(super) fn store_options(&self, options: &ConnectOptions) -> StoreOptions {
        StoreOptions {
            url: self.url.clone(),
            schema: self.schema.clone(),
            pool_size: options.pool_size,
            transaction_pooler: self.transaction_pooler,
            deadline: options.statement_timeout,
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Nothing says where the database is: an embedded one, never in production.
fn default_url() -> Result<String> {
    for name in ["LAVORO_ENV", "NODE_ENV"] {
        if variable(name).is_some_and(|value| value == "production") {
            return Err(Error::new(
                ErrorKind::EmbeddedInProduction,
                format!(
                    "no database is named and {name} is production: set LAVORO_DATABASE_URL. (The \
                     next deploy would throw an embedded queue away.)"
                ),
            ));
        }
    }
    Ok("embedded:".to_owned())
}

/// Says which embedded server is used, as nobody named a database. Where one runs already,
/// somebody has started it on purpose.
fn tell(server: &Embedded) -> Result<()> {
    let directory = find_project_dir(&current_directory()?);
    let directory = directory.display();
    if server.is_owner() {
        tracing::warn!("no database is named (LAVORO_DATABASE_URL): starting one in {directory}");
    } else {
        tracing::info!("no database is named: using the one that runs in {directory}");
    }
    Ok(())
}

fn embedded_options(url: &str) -> Result<Option<EmbeddedOptions>> {
    let kind = if url == "memory:" {
        EmbeddedKind::Memory
    } else if let Some(path) = url.strip_prefix("embedded:") {
        let path = path.trim_start_matches("//");
        let dir =
            if path.is_empty() { find_project_dir(&current_directory()?) } else { path.into() };
        EmbeddedKind::Persistent { dir }
    } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(None);
    } else {
        // The URL itself may hold a password, so it is not shown.
        return Err(Error::new(
            ErrorKind::InvalidUrl,
            "the database URL starts with none of postgres://, postgresql://, embedded: and memory:",
        ));
    };
    Ok(Some(EmbeddedOptions { kind, ..EmbeddedOptions::default() }))
}

fn current_directory() -> Result<std::path::PathBuf> {
    std::env::current_dir().map_err(|error| {
        Error::new(ErrorKind::EmbeddedFailed, "the current directory is gone").with_source(error)
    })
}

/// Takes our own `pooler=transaction` out of a URL's query, since the driver does not know it.
fn take_pooler(url: &str) -> Result<(String, bool)> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), false)) };
    let (ours, rest): (Vec<_>, Vec<_>) =
        query.split('&').partition(|pair| pair.starts_with("pooler="));
    if ours.iter().any(|pair| !matches!(*pair, "pooler=transaction" | "pooler=session")) {
        return Err(Error::new(
            ErrorKind::InvalidUrl,
            "pooler in the database URL takes transaction or session",
        ));
    }
    let join = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{base}{join}{}", rest.join("&")), ours.contains(&"pooler=transaction")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooler_is_taken_out_of_the_url() {
        let take = |url| take_pooler(url).unwrap();
        assert_eq!(take("postgres://h/d"), ("postgres://h/d".to_owned(), false));
        assert_eq!(take("postgres://h/d?pooler=transaction"), ("postgres://h/d".to_owned(), true));
        assert_eq!(
            take("postgres://h/d?a=1&pooler=session&b=2"),
            ("postgres://h/d?a=1&b=2".to_owned(), false)
        );
        assert_eq!(
            take_pooler("postgres://h/d?pooler=x").unwrap_err().kind(),
            ErrorKind::InvalidUrl
        );
    }

    #[test]
    fn an_unknown_scheme_is_refused_without_showing_the_url() {
        let error = embedded_options("mysql://root:secret@h/d").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl);
        assert!(!error.message().contains("secret"));
    }
}
