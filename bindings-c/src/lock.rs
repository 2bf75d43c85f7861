//! Named locks.

use crate::block::block_on;
use crate::client::{client_of, lavoro_client};
use crate::guard::{guard, guard_or};
use crate::handle::Handles;
use crate::options::{lavoro_lock_options, sized, span};
use crate::status::{Result, lavoro_status};
use crate::text::{Out, hand_out, optional_text, text};
use lavoro_core::{Lock, LockOptions};
use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

/// A lock that is held. Opaque; never dereference it.
#[derive(Debug)]
pub struct lavoro_lock(());

static LOCKS: Handles<Lock> = Handles::new("lock", 4);

/// # Safety
/// As of the header: `name` ends in NUL, `options` as of [`sized`].
unsafe fn wish(
    client: *const lavoro_client,
    name: *const c_char,
    options: *const lavoro_lock_options,
) -> Result<LockOptions> {
    let lavoro = client_of(client)?;
    // SAFETY: what the caller promises.
    let (name, options) = unsafe { (text("name", name)?, sized(options)?) };
    let mut wish = lavoro.lock(name);
    let Some(options) = options else { return Ok(wish) };
    // SAFETY: what the caller promises of the text in it.
    if let Some(owner) = unsafe { optional_text("owner", options.owner) }? {
        wish = wish.owner(owner);
    }
    if options.lifetime_ms != 0 {
        wish = wish.lifetime(span("lifetime_ms", options.lifetime_ms)?);
    }
    if options.wait_ms != 0 {
        wish = wish.wait(crate::block::limit(options.wait_ms).unwrap_or(Duration::ZERO));
    }
    Ok(wish)
}

/// Takes the lock of this name, 1 to 255 bytes; while another holds it, waits in line. The
/// library extends it until it is released, freed or lost.
///
/// Ownership: the caller frees `*lock` with lavoro_lock_free.
/// Errors: LAVORO_TIMEOUT if it was not free in time; LAVORO_INVALID_OPTION; what is wrong with
/// the database. Thread-safety: any thread. Blocks up to wait_ms.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_lock_acquire(
    client: *const lavoro_client,
    name: *const c_char,
    options: *const lavoro_lock_options,
    lock: *mut *mut lavoro_lock,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut lock, wish) =
            unsafe { (Out::new("lock", lock, null_mut())?, wish(client, name, options)?) };
        lock.set(LOCKS.add(Arc::new(block_on(wish.acquire())?)));
        Ok(())
    })
}

/// Takes the lock if it is free and nobody waits for it; else `*lock` is NULL, and the answer is
/// LAVORO_OK.
///
/// Ownership: the caller frees `*lock` with lavoro_lock_free.
/// Errors: LAVORO_INVALID_OPTION; what is wrong with the database.
/// Thread-safety: any thread. Blocks until the database has answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_lock_try_acquire(
    client: *const lavoro_client,
    name: *const c_char,
    options: *const lavoro_lock_options,
    lock: *mut *mut lavoro_lock,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut lock, wish) =
            unsafe { (Out::new("lock", lock, null_mut())?, wish(client, name, options)?) };
        if let Some(held) = block_on(wish.try_acquire())? {
            lock.set(LOCKS.add(Arc::new(held)));
        }
        Ok(())
    })
}

/// A number that rises with each grant of this name: pass it on to what is written, and let that
/// refuse smaller ones. 0 if the handle is invalid.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_lock_fencing_token(lock: *const lavoro_lock) -> i64 {
    guard_or(0, || Ok(LOCKS.get(lock)?.fencing_token()))
}

/// Whether the lock is held as far as this process knows. Asks nobody.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_lock_is_held(lock: *const lavoro_lock) -> bool {
    guard_or(false, || Ok(LOCKS.get(lock)?.is_held()))
}

/// How many milliseconds the database keeps it at least if it is not extended; 0 if it is not
/// held. Asks nobody.
///
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_lock_remaining_ms(lock: *const lavoro_lock) -> i64 {
    guard_or(0, || {
        let left = LOCKS.get(lock)?.remaining().as_millis();
        Ok(i64::try_from(left).unwrap_or(i64::MAX))
    })
}

/// Lets the lock live at least `span_ms` milliseconds from now on, 1 s to 24 h.
///
/// Errors: LAVORO_LOCK_LOST; LAVORO_INVALID_OPTION; what is wrong with the database.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_lock_extend(lock: *const lavoro_lock, span_ms: i64) -> lavoro_status {
    guard(|| Ok(block_on(LOCKS.get(lock)?.extend(span("span_ms", span_ms)?))?))
}

/// Releases the lock and wakes the first who waits. `was_held` may be NULL; false: it had been
/// lost or released. The handle is still to be freed.
///
/// Errors: what is wrong with the database: call again, or let the lock end by itself.
/// Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_lock_release(
    lock: *const lavoro_lock,
    was_held: *mut bool,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut was_held = unsafe { Out::optional(was_held) };
        was_held.set(false);
        was_held.set(block_on(LOCKS.get(lock)?.release())?);
        Ok(())
    })
}

/// The lock as text, for lavoro_lock_restore in another process; both hold it then. The text is
/// a secret.
///
/// Ownership: the caller frees `*letter` with lavoro_string_free.
/// Errors: LAVORO_LOCK_LOST. Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_lock_serialise(
    lock: *const lavoro_lock,
    letter: *mut *mut c_char,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let mut letter = unsafe { Out::new("letter", letter, null_mut()) }?;
        letter.set(hand_out(LOCKS.get(lock)?.serialise()?));
        Ok(())
    })
}

/// Holds a lock on that another process wrote as text. It is extended at once, and from here on.
///
/// Ownership: the caller frees `*lock` with lavoro_lock_free.
/// Errors: LAVORO_LOCK_LOST; LAVORO_INVALID_OPTION if the text is none of ours; what is wrong
/// with the database. Thread-safety: any thread. Blocks until the commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_lock_restore(
    client: *const lavoro_client,
    letter: *const c_char,
    lock: *mut *mut lavoro_lock,
) -> lavoro_status {
    guard(|| {
        // SAFETY: as of the header, pointers are NULL or valid for what their types say.
        let (mut lock, letter) =
            unsafe { (Out::new("lock", lock, null_mut())?, text("letter", letter)?) };
        let held = block_on(client_of(client)?.restore_lock(letter))?;
        lock.set(LOCKS.add(Arc::new(held)));
        Ok(())
    })
}

/// Frees a lock; one that is held is released in the background. NULL is fine.
///
/// Errors: LAVORO_INVALID_HANDLE if it was freed already.
/// Thread-safety: any thread. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lavoro_lock_free(lock: *mut lavoro_lock) -> lavoro_status {
    guard(|| if lock.is_null() { Ok(()) } else { LOCKS.take(lock).map(drop) })
}
