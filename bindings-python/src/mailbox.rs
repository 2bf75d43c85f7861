//! How answers reach an event loop: a list, and a file descriptor that is readable while the list
//! holds any.

use crate::answer::Answer;
use crate::errors::raise;
use crate::fork::OfProcess;
use lavoro_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// An answer and the number that it was asked for under.
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) answer: Result<Answer>,
}

#[derive(Default)]
struct Content {
    deliveries: Vec<Delivery>,
    /// What is still awaited.
    expected: HashMap<u64, AbortHandle>,
    /// Nobody empties it any more.
    is_closed: bool,
}

/// The side of a mailbox that answers are put into.
#[derive(Clone)]
pub(crate) struct Mail(Arc<Shared>);

struct Shared {
    content: Mutex<Content>,
    bell: UnixStream,
}

impl Mail {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an answer in. One that nobody will take out is dropped, which gives back what it
    /// holds: a lock is released.
    pub(crate) fn put(&self, delivery: Delivery) {
        let mut content = self.content();
        content.expected.remove(&delivery.number);
        if content.is_closed {
            drop(content);
            return;
        }
        let was_empty = content.deliveries.is_empty();
        content.deliveries.push(delivery);
        if was_empty {
            // It holds at most one byte, so that there is room for it.
            let _ = (&self.0.bell).write(&[1]);
        }
    }

    /// Remembers how to end the work for an answer, unless that has come already.
    pub(crate) fn expect(&self, number: u64, task: AbortHandle) {
        if !task.is_finished() {
            self.content().expected.insert(number, task);
        }
    }
}

/// Where the answers for one event loop come in.
#[pyclass(frozen, module = "lavoro._native")]
#[derive(Debug)]
pub(crate) struct Mailbox(OfProcess<Open>);

struct Open {
    mail: Mail,
    ear: UnixStream,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut content = self.mail.content();
        content.is_closed = true;
        let left = std::mem::take(&mut content.deliveries);
        for (_, task) in content.expected.drain() {
            task.abort();
        }
        drop(content);
        drop(left);
    }
}

impl Mailbox {
    pub(crate) fn open(&self) -> PyResult<Mail> {
        Ok(self.0.get()?.mail.clone())
    }
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> PyResult<Self> {
        let pair = || -> std::io::Result<_> {
            let (bell, ear) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            ear.set_nonblocking(true)?;
            Ok((bell, ear))
        };
        let (bell, ear) = pair().map_err(|error| {
            raise(&Error::new(ErrorKind::Internal, format!("no socket for a mailbox: {error}")))
        })?;
        let mail = Mail(Arc::new(Shared { content: Mutex::default(), bell }));
        Ok(Self(OfProcess::new(Open { mail, ear })))
    }

    /// The descriptor that is readable while there are answers. It stays the mailbox's.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.0.get()?.ear.as_raw_fd())
    }

    /// Takes the answers out: `(number, answer, exception)` each. Never waits.
    fn take(&self, py: Python<'_>) -> PyResult<Vec<Taken>> {
        let open = self.0.get()?;
        let deliveries = {
            let mut content = open.mail.content();
            let mut byte = [0; 8];
            let _ = (&open.ear).read(&mut byte);
            std::mem::take(&mut content.deliveries)
        };
        let taken = |delivery: Delivery| match delivery.answer {
            Ok(answer) => Ok((delivery.number, answer.into_python(py)?, None)),
            Err(error) => Ok((delivery.number, py.None(), Some(raise(&error)))),
        };
        deliveries.into_iter().map(taken).collect()
    }

    /// Ends the work for an answer that nobody wants any more, as far as it has not been done.
    fn forget(&self, number: u64) -> PyResult<()> {
        let task = self.0.get()?.mail.content().expected.remove(&number);
        if let Some(task) = task {
            task.abort();
        }
        Ok(())
    }
}

type Taken = (u64, Py<PyAny>, Option<PyErr>);
