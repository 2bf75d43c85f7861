//! Handles: numbers in the clothes of pointers, so that C tells their kinds apart.

use crate::status::{Refusal, Result, lavoro_status};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What handles of one kind lead to. Numbers are never used twice: what was freed stays unknown.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    /// What the kind is called in messages.
    kind: &'static str,
    /// In the upper 8 bits of each number, so that a handle of another kind is unknown too.
    tag: u64,
    last: AtomicU64,
    known: RwLock<Option<HashMap<u64, Arc<T>>>>,
}

impl<T> Handles<T> {
    pub(crate) const fn new(kind: &'static str, tag: u8) -> Self {
        let tag = (tag as u64) << 56;
        Self { kind, tag, last: AtomicU64::new(0), known: RwLock::new(None) }
    }

    /// A handle on this.
    pub(crate) fn add<H>(&self, value: Arc<T>) -> *mut H {
        let number = self.tag | (self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().insert(number, value);
        // Numbers of 64 bits fit: this builds nowhere else.
        std::ptr::without_provenance_mut(usize::try_from(number).unwrap_or_default())
    }

    /// What the handle leads to.
    pub(crate) fn get<H>(&self, handle: *const H) -> Result<Arc<T>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.as_ref().and_then(|known| known.get(&(handle.addr() as u64)).cloned());
        found.ok_or_else(|| self.unknown(handle))
    }

    /// Takes what the handle leads to; it is unknown from then on.
    pub(crate) fn take<H>(&self, handle: *const H) -> Result<Arc<T>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let found = known.as_mut().and_then(|known| known.remove(&(handle.addr() as u64)));
        found.ok_or_else(|| self.unknown(handle))
    }

    fn unknown<H>(&self, handle: *const H) -> Refusal {
        let kind = self.kind;
        let message = if handle.is_null() {
            format!("the {kind} is NULL")
        } else {
            format!("this is no {kind}: it was freed, or never was one")
        };
        Refusal::new(lavoro_status::LAVORO_INVALID_HANDLE, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Opaque;

    #[test]
    fn what_was_freed_stays_unknown() {
        let handles = Handles::new("thing", 9);
        let first: *mut Opaque = handles.add(Arc::new(1));
        assert_eq!(*handles.get(first).unwrap(), 1);
        assert_eq!(*handles.take(first).unwrap(), 1);
        let second: *mut Opaque = handles.add(Arc::new(2));
        for stale in [first, std::ptr::null_mut(), std::ptr::without_provenance_mut(1)] {
            assert!(handles.get(stale).is_err() && handles.take(stale).is_err());
        }
        let other = Handles::<i32>::new("other", 8);
        assert!(other.get(second).is_err());
    }
}
