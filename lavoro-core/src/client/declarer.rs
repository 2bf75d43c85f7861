//! Saying which schedules this process declares, so that those nobody declares can be told.

use crate::error::Result;
use crate::service::{Service, Step};
use crate::store::Store;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use uuid::Uuid;

/// How often it is said again. After five times as long a process counts as gone.
const PERIOD: Duration = Duration::from_mins(1);

/// The schedules that a client has declared. The loop that says so starts with the first.
#[derive(Debug)]
pub(crate) struct Declarer {
    runtime: Handle,
    beat: Beat,
    service: AsyncMutex<Option<Service>>,
}

impl Declarer {
    /// Declares nothing yet.
    pub(crate) fn new(runtime: &Handle, store: Arc<Store>) -> Self {
        let beat = Beat { store, process: Uuid::new_v4(), schedules: Arc::default() };
        Self { runtime: runtime.clone(), beat, service: AsyncMutex::new(None) }
    }

    /// Says that this process declares a schedule too.
    pub(crate) async fn declares(&self, schedule: i64) -> Result<()> {
        let mut service = self.service.lock().await;
        self.beat.schedules.lock().unwrap_or_else(PoisonError::into_inner).insert(schedule);
        self.beat.say().await?;
        if service.is_none() {
            let never = Arc::new(Notify::new());
            *service = Some(Service::start(&self.runtime, self.beat.clone(), never));
        }
        Ok(())
    }

    /// Ends the loop and says that this process declares nothing any more.
    pub(crate) async fn close(&self) {
        if let Some(service) = self.service.lock().await.take() {
            service.stop().await;
            // If this fails the process counts as gone after a while.
            let _ = self.beat.store.end_declarer(self.beat.process).await;
        }
    }
}

#[derive(Clone, Debug)]
struct Beat {
    store: Arc<Store>,
    process: Uuid,
    schedules: Arc<Mutex<BTreeSet<i64>>>,
}

impl Beat {
    async fn say(&self) -> Result<()> {
        let schedules = self.schedules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.store.beat_declarer(self.process, schedules.into_iter().collect()).await
    }
}

impl Step for Beat {
    const NAME: &'static str = "declaring schedules";

    async fn run_once(&mut self) -> Result<Duration> {
        self.say().await?;
        Ok(PERIOD)
    }
}
