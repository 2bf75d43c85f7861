//! A file descriptor that is readable while there may be a job.

use crate::block::block_on;
use crate::status::{Refusal, Result, lavoro_status};
use lavoro_core::PullWorker;
use std::ffi::c_int;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A pipe with at most one byte in it.
#[derive(Debug)]
pub(crate) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
    reader: PipeReader,
    writer: PipeWriter,
}

#[derive(Debug, Default)]
struct State {
    /// The byte is in the pipe.
    rung: bool,
    /// The worker has stopped: the byte stays.
    over: bool,
}

impl Bell {
    /// Makes one, and the thread that rings it.
    pub(crate) fn hang(pull: Arc<PullWorker>) -> Result<(Arc<Self>, JoinHandle<()>)> {
        let failed = |error: std::io::Error| {
            Refusal::new(lavoro_status::LAVORO_INTERNAL, format!("no file descriptor: {error}"))
        };
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        let state = Mutex::default();
        let bell = Arc::new(Self { state, changed: Condvar::new(), reader, writer });
        let ringer = Arc::clone(&bell);
        let thread = std::thread::Builder::new()
            .name("lavoro-ready".to_owned())
            .spawn(move || ringer.watch(&pull))
            .map_err(failed)?;
        Ok((bell, thread))
    }

    pub(crate) fn fd(&self) -> c_int {
        self.reader.as_raw_fd()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, pull: &PullWorker) {
        loop {
            let more = block_on(pull.ready());
            let mut state = self.state();
            self.ring(&mut state);
            if !more {
                state.over = true;
                return;
            }
            while state.rung && !state.over {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.over {
                return;
            }
        }
    }

    fn ring(&self, state: &mut State) {
        if !state.rung {
            state.rung = (&self.writer).write_all(&[0]).is_ok();
        }
    }

    /// No job was there: takes the byte out. The thread puts it back if one came meanwhile.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        if state.rung && !state.over {
            // There is a byte, so this does not wait.
            let _ = (&self.reader).read(&mut [0]);
            state.rung = false;
            self.changed.notify_all();
        }
    }

    /// The worker has stopped.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        self.ring(&mut state);
        state.over = true;
        self.changed.notify_all();
    }
}
