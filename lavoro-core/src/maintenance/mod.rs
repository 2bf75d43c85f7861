//! Keeping jobs moving: promote what is due, fire schedules, end what has expired, rescue what was
//! lost, prune what is old.
//!
//! There is no leader. Every worker does all of it, and so does a client opened with
//! `maintenance: true`; each step is idempotent and safe beside others.

mod expire;
mod fire;
mod promote;
mod prune;
mod rescue;
mod watch;

use crate::options::Timing;
use crate::service::Service;
use crate::store::Store;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub(crate) use expire::Expirer;
pub(crate) use fire::Firer;
pub(crate) use promote::Promoter;
pub(crate) use prune::Pruner;
pub(crate) use rescue::Rescuer;

/// The running loops.
#[derive(Debug)]
pub(crate) struct Maintenance {
    services: Vec<Service>,
}

impl Maintenance {
    /// Starts the loops. `woken` is told when jobs have become available.
    pub(crate) fn start(
        runtime: &Handle,
        store: &Arc<Store>,
        timing: Timing,
        woken: &Arc<Notify>,
    ) -> Self {
        let never = || Arc::new(Notify::new());
        let promoter = Promoter::new(Arc::clone(store), timing, Arc::clone(woken));
        let firer = Firer::new(Arc::clone(store), timing, Arc::clone(woken));
        let rescuer = Rescuer::new(Arc::clone(store), timing, Arc::clone(woken));
        let expirer = Expirer::new(Arc::clone(store), timing);
        let pruner = Pruner::new(Arc::clone(store), timing);
        Self {
            services: vec![
                Service::start(runtime, promoter, never()),
                Service::start(runtime, firer, never()),
                Service::start(runtime, rescuer, never()),
                Service::start(runtime, expirer, never()),
                Service::start(runtime, pruner, never()),
            ],
        }
    }

    /// Ends the loops.
    pub(crate) async fn stop(self) {
        for service in self.services {
            service.stop().await;
        }
    }
}
