//! The thread that operations wait on.

use lavoro_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};

/// One thread of a client's own. The engine has threads of its own beside it; this one only
/// carries answers.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    tokio: Option<tokio::runtime::Runtime>,
    handle: Handle,
}

impl Runtime {
    pub(crate) fn new() -> Result<Self> {
        let tokio = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lavoro-python")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "a thread cannot be started").with_source(error)
            })?;
        let handle = tokio.handle().clone();
        Ok(Self(Arc::new(Owner { tokio: Some(tokio), handle })))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0.handle
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The last who holds it may be one of its own threads, which must not wait for itself.
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}
