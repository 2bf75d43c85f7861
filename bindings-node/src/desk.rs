//! Jobs that JavaScript holds, by a number that only this process knows.

use crate::error::thrown;
use lavoro_core::{Error, ErrorKind, Job, Lavoro, StopReason};
use napi::Result;
use napi_derive::napi;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many signals one answer holds.
const SIGNALS: usize = 256;

/// Something that handlers, or the worker's loop, must be told.
#[napi(object)]
#[derive(Debug)]
pub struct NativeSignal {
    /// The number of the attempt; 0: it is about the worker.
    pub serial: u32,
    /// `cancelled`, `timeout`, `shutdown`, `lost_contact` or `lost_lease`; of the worker
    /// `stuck`, or `end` after its end.
    pub reason: String,
}

/// A statement with its parameters.
#[napi(object)]
#[derive(Debug)]
pub struct NativeSql {
    /// With `$1`, `$2`, …
    pub text: String,
    /// Text or null.
    pub parameters: Vec<Option<String>>,
}

#[derive(Debug)]
pub(crate) struct Desk {
    lavoro: Lavoro,
    last: AtomicU32,
    jobs: Mutex<HashMap<u32, Job>>,
    sender: UnboundedSender<NativeSignal>,
    signals: tokio::sync::Mutex<UnboundedReceiver<NativeSignal>>,
}

impl Desk {
    pub(crate) fn new(lavoro: &Lavoro) -> Arc<Self> {
        let (sender, receiver) = unbounded_channel();
        Arc::new(Self {
            lavoro: lavoro.clone(),
            last: AtomicU32::new(0),
            jobs: Mutex::default(),
            sender,
            signals: tokio::sync::Mutex::new(receiver),
        })
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<u32, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps jobs until they are finished, and shows them as a JSON array of objects, each with
    /// its `serial` first.
    pub(crate) fn admit(&self, jobs: Vec<Job>) -> lavoro_core::Result<String> {
        let mut text = String::with_capacity(jobs.len() * 512);
        text.push('[');
        let mut held = self.jobs();
        for job in jobs {
            let shown = lavoro_bindings::job_json(&job)?;
            let serial = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            let comma = if text.len() > 1 { "," } else { "" };
            let _ = write!(text, "{comma}{{\"serial\":{serial},{}", &shown[1..]);
            held.insert(serial, job);
        }
        text.push(']');
        Ok(text)
    }

    /// The job is over for JavaScript.
    pub(crate) fn dismiss(&self, serial: u32) -> Option<Job> {
        self.jobs().remove(&serial)
    }

    /// Tells the worker's loop something.
    pub(crate) fn tell(&self, serial: u32, reason: &str) {
        let _ = self.sender.send(NativeSignal { serial, reason: reason.to_owned() });
    }

    fn job(&self, serial: u32) -> lavoro_core::Result<Job> {
        self.jobs().get(&serial).cloned().ok_or_else(|| {
            Error::new(ErrorKind::StaleLease, "the attempt is over: its handler has returned")
        })
    }
}

/// What handlers say of their jobs while they run.
#[napi]
#[derive(Debug)]
pub struct NativeDesk {
    desk: Arc<Desk>,
}

impl NativeDesk {
    pub(crate) fn new(desk: &Arc<Desk>) -> Self {
        Self { desk: Arc::clone(desk) }
    }

    fn job(&self, serial: u32) -> Result<Job> {
        self.desk.job(serial).map_err(thrown)
    }
}

#[napi]
impl NativeDesk {
    /// Says how far an attempt has come; the data is JSON.
    #[napi(catch_unwind)]
    pub fn progress(
        &self,
        serial: u32,
        percent: Option<f64>,
        message: Option<String>,
        data: Option<String>,
    ) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "percentages are kept as f32")]
        let percent = percent.map(|percent| percent as f32);
        self.job(serial)?
            .progress_json(percent, message.as_deref(), data.as_deref())
            .map_err(thrown)
    }

    /// Adds lines to a job's log.
    #[napi(catch_unwind)]
    pub fn log(&self, serial: u32, line: String) -> Result<()> {
        self.job(serial)?.log(line);
        Ok(())
    }

    /// Saves a checkpoint, which is JSON.
    #[napi(catch_unwind)]
    pub async fn save_checkpoint(&self, serial: u32, json: String) -> Result<()> {
        self.job(serial)?.save_checkpoint_json(&json).await.map_err(thrown)
    }

    /// The job's last checkpoint as JSON.
    #[napi(catch_unwind)]
    pub async fn checkpoint(&self, serial: u32) -> Result<Option<String>> {
        self.job(serial)?.checkpoint_json().await.map_err(thrown)
    }

    /// The statement that completes a job in the caller's transaction; the result is JSON.
    #[napi(catch_unwind)]
    pub fn complete_sql(&self, serial: u32, result: Option<String>) -> Result<NativeSql> {
        let job = self.job(serial)?;
        let call = self.desk.lavoro.complete_sql_json(&job, result.as_deref());
        Ok(NativeSql { text: call.text, parameters: call.parameters })
    }

    /// Lets `signals` say when this attempt should stop; answers the reason if it should already.
    #[napi(catch_unwind)]
    pub fn watch(&self, serial: u32) -> Result<Option<String>> {
        let job = self.job(serial)?;
        if let Some(reason) = job.stop_reason() {
            return Ok(Some(word(reason).to_owned()));
        }
        let desk = Arc::downgrade(&self.desk);
        napi::bindgen_prelude::spawn(async move {
            loop {
                // Looks now and then whether anybody is still interested.
                let wait = std::time::Duration::from_secs(1);
                let stopped = tokio::time::timeout(wait, job.stopped()).await;
                let Some(desk) = desk.upgrade() else { return };
                if !desk.jobs().contains_key(&serial) {
                    return;
                }
                if let Ok(reason) = stopped {
                    desk.tell(serial, word(reason));
                    return;
                }
            }
        });
        Ok(None)
    }

    /// Waits for what must be told. Pending as long as the worker runs.
    #[napi(catch_unwind)]
    pub async fn signals(&self) -> Result<Vec<NativeSignal>> {
        let mut signals = Vec::new();
        self.desk.signals.lock().await.recv_many(&mut signals, SIGNALS).await;
        Ok(signals)
    }

    /// How many jobs JavaScript holds.
    #[napi(getter, catch_unwind)]
    pub fn held(&self) -> u32 {
        u32::try_from(self.desk.jobs().len()).unwrap_or(u32::MAX)
    }
}

fn word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Cancelled => "cancelled",
        StopReason::Timeout => "timeout",
        StopReason::Shutdown => "shutdown",
        StopReason::LostContact => "lost_contact",
        StopReason::LostLease => "lost_lease",
    }
}
