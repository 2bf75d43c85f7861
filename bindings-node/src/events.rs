//! What happens in a worker.

use crate::error::thrown;
use lavoro_core::EventStream;
use napi::Result;
use napi_derive::napi;
use tokio::sync::Mutex;

/// How many events one answer holds.
const BATCH: usize = 256;

/// Events of a worker, from the moment of listening on.
#[napi]
#[derive(Debug)]
pub struct NativeEvents {
    stream: Mutex<EventStream>,
}

impl NativeEvents {
    pub(crate) fn new(stream: EventStream) -> Self {
        Self { stream: Mutex::new(stream) }
    }
}

#[napi]
impl NativeEvents {
    /// Waits for events, and answers those that have come, each as JSON. None: the worker has
    /// ended.
    #[napi(catch_unwind)]
    pub async fn next(&self) -> Result<Vec<String>> {
        let mut stream = self.stream.lock().await;
        let mut texts = Vec::new();
        let mut event = stream.next().await;
        while let Some(now) = event {
            texts.push(lavoro_bindings::event_json(&now).map_err(thrown)?);
            if texts.len() == BATCH {
                break;
            }
            event = tokio::select! {
                biased;
                next = stream.next() => next,
                () = std::future::ready(()) => None,
            };
        }
        Ok(texts)
    }

    /// How many events were missed because they were not read in time.
    #[napi(catch_unwind)]
    pub async fn missed(&self) -> Result<String> {
        Ok(self.stream.lock().await.missed().to_string())
    }
}
