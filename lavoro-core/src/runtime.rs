//! The threads that Lavoro's own work runs on, so that nothing the application does to its
//! threads (blocking an event loop, holding a GIL) can stop a heartbeat or a completion.

use crate::error::{Error, ErrorKind, Result};
use std::future::Future;
use tokio::runtime::{Builder, Handle, Runtime as Tokio};

/// A small tokio runtime of a client's own.
#[derive(Debug)]
pub(crate) struct Runtime {
    tokio: Option<Tokio>,
    handle: Handle,
}

impl Runtime {
    /// Starts two threads.
    pub(crate) fn new() -> Result<Self> {
        let tokio = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("lavoro")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "threads cannot be started").with_source(error)
            })?;
        let handle = tokio.handle().clone();
        Ok(Self { tokio: Some(tokio), handle })
    }

    /// Lends the runtime.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` on these threads, awaited from any executor. It goes on to its end even if
    /// the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.handle.spawn(work).await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => {
                Err(Error::new(ErrorKind::Internal, "a defect in Lavoro: its task panicked"))
            }
            Err(_) => Err(Error::new(ErrorKind::Closed, "the client has been closed")),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Dropping a runtime waits, which is forbidden inside another one.
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}
