//! Code around handlers.

use super::attempt::guarded;
use crate::job::Job;
use crate::outcome::Outcome;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// A handler, in its common form.
pub(super) type Run = dyn Fn(Job) -> BoxFuture<'static, Outcome> + Send + Sync;

/// A middleware, in its common form.
pub(super) type Wrap = dyn Fn(Job, Next) -> BoxFuture<'static, Outcome> + Send + Sync;

/// What a middleware wraps: the middleware registered after it, and at the end the handler.
#[must_use = "a job runs only when its handler is called"]
pub struct Next {
    chain: Arc<[Arc<Wrap>]>,
    /// How many of the chain have been called.
    called: usize,
    handler: Arc<Run>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next")
            .field("left", &(self.chain.len() - self.called))
            .finish_non_exhaustive()
    }
}

impl Next {
    pub(super) fn new(chain: &Arc<[Arc<Wrap>]>, handler: &Arc<Run>) -> Self {
        Self { chain: Arc::clone(chain), called: 0, handler: Arc::clone(handler) }
    }

    /// Runs the rest and answers the outcome. A panic of what is called is the outcome
    /// `Retry` with the kind `panicked`.
    pub fn run(mut self, job: Job) -> BoxFuture<'static, Outcome> {
        let Some(middleware) = self.chain.get(self.called).cloned() else {
            return Box::pin(guarded(async move { (self.handler)(job).await }));
        };
        self.called += 1;
        Box::pin(guarded(async move { middleware(job, self).await }))
    }
}
