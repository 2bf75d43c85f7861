//! Bytes that come in, and texts that go out.

use crate::guard::guard;
use crate::status::{Refusal, Result, lavoro_status};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A length that stands for: up to the first NUL.
pub(crate) const LAVORO_NUL_TERMINATED: usize = usize::MAX;

/// Text that must be there.
///
/// # Safety
/// `pointer` is NULL or leads to bytes that end in NUL and stay as they are.
pub(crate) unsafe fn text<'a>(name: &str, pointer: *const c_char) -> Result<&'a str> {
    // SAFETY: what the caller promises.
    let text = unsafe { optional_text(name, pointer) }?;
    text.ok_or_else(|| Refusal::argument(format!("{name} is NULL")))
}

/// Text that may be NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(
    name: &str,
    pointer: *const c_char,
) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, and the caller promises that a NUL ends it.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text =
        text.to_str().map_err(|_| Refusal::argument(format!("{name} is not valid UTF-8")))?;
    Ok(Some(text))
}

/// Bytes of a length, or up to their NUL; NULL is none.
///
/// # Safety
/// `pointer` is NULL, or leads to `length` bytes, or to bytes that end in NUL where `length` is
/// [`LAVORO_NUL_TERMINATED`]; they stay as they are.
pub(crate) unsafe fn bytes<'a>(
    name: &str,
    pointer: *const c_char,
    length: usize,
) -> Result<&'a [u8]> {
    if pointer.is_null() {
        if length == 0 || length == LAVORO_NUL_TERMINATED {
            return Ok(&[]);
        }
        return Err(Refusal::argument(format!("{name} is NULL, but its length is {length}")));
    }
    if length == LAVORO_NUL_TERMINATED {
        // SAFETY: not NULL, and the caller promises that a NUL ends it.
        return Ok(unsafe { CStr::from_ptr(pointer) }.to_bytes());
    }
    if isize::try_from(length).is_err() {
        return Err(Refusal::argument(format!("the length of {name} is {length}")));
    }
    // SAFETY: not NULL, no longer than an object can be, and the caller promises the bytes.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// As [`bytes`], but NULL stands for JSON's `null`; text that is empty is none.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn payload<'a>(pointer: *const c_char, length: usize) -> Result<&'a [u8]> {
    // SAFETY: what the caller promises.
    let bytes = unsafe { bytes("payload", pointer, length) }?;
    Ok(if pointer.is_null() { b"null" } else { bytes })
}

/// As [`bytes`], but UTF-8; `None` if there are none.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn optional_json<'a>(
    name: &str,
    pointer: *const c_char,
    length: usize,
) -> Result<Option<&'a str>> {
    // SAFETY: what the caller promises.
    let bytes = unsafe { bytes(name, pointer, length) }?;
    if bytes.is_empty() {
        return Ok(None);
    }
    std::str::from_utf8(bytes).map(Some).map_err(|_| {
        Refusal::new(lavoro_status::LAVORO_INVALID_PAYLOAD, format!("{name} is not valid UTF-8"))
    })
}

/// Where an answer goes.
#[derive(Debug)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Where an answer must go: it says `empty` until it is known.
    ///
    /// # Safety
    /// `pointer` is NULL, or may be written to until the call returns.
    pub(crate) unsafe fn new(name: &str, pointer: *mut T, empty: T) -> Result<Self> {
        if pointer.is_null() {
            return Err(Refusal::argument(format!("{name} is NULL")));
        }
        let mut out = Self(pointer);
        out.set(empty);
        Ok(out)
    }

    /// Where an answer may go.
    ///
    /// # Safety
    /// As [`new`](Self::new).
    pub(crate) unsafe fn optional(pointer: *mut T) -> Self {
        Self(pointer)
    }

    pub(crate) fn set(&mut self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not NULL, and whoever made this promised that it may be written to.
            unsafe { self.0.write(value) }
        }
    }
}

impl Out<*mut c_char> {
    /// Hands a text out, if someone wants it.
    pub(crate) fn set_text(&mut self, text: impl Into<Vec<u8>>) {
        if !self.0.is_null() {
            self.set(hand_out(text));
        }
    }
}

/// What has been handed out and not been freed. Kept here, so that freeing twice is an error and
/// no crash.
static LIVE: LazyLock<Mutex<HashMap<usize, CString>>> = LazyLock::new(Mutex::default);

/// Text for the caller to free.
pub(crate) fn hand_out(text: impl Into<Vec<u8>>) -> *mut c_char {
    let text = c_string(text);
    let pointer = text.as_ptr().cast_mut();
    LIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(pointer.addr(), text);
    pointer
}

/// Text for C; it ends where a NUL is, which none of ours holds.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> CString {
    let mut text = text.into();
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    CString::new(text).unwrap_or_default()
}

/// Frees a text that a function of this library answered. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it is none, or was freed already.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_string_free(text: *mut c_char) -> lavoro_status {
    guard(|| {
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_null() || live.remove(&text.addr()).is_some() {
            return Ok(());
        }
        let message = "this text is none that Lavoro handed out, or was freed already";
        Err(Refusal::new(lavoro_status::LAVORO_INVALID_HANDLE, message))
    })
}
