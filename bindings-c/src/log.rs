//! What the library has to say, for the program's own log.

use crate::guard::{guard, in_callback};
use crate::status::{Refusal, lavoro_status};
use crate::text::c_string;
use std::ffi::{c_char, c_void};
use std::fmt::Write as _;
use std::sync::{OnceLock, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// How much a message matters.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum lavoro_log_level {
    /// Nothing.
    LAVORO_LOG_NONE = 0,
    /// What needs someone to look at it.
    LAVORO_LOG_ERROR = 1,
    /// What is not as it should be.
    LAVORO_LOG_WARN = 2,
    /// What happens.
    LAVORO_LOG_INFO = 3,
    /// What happens, in detail.
    LAVORO_LOG_DEBUG = 4,
}

/// Takes a message: one line without its end. `message` is valid until it returns. It is called
/// on any thread, also on several at once; it must return, should not wait, and may not call this
/// library. Payloads and passwords are never in it.
pub type lavoro_log_callback = Option<
    unsafe extern "C" fn(level: lavoro_log_level, message: *const c_char, user_data: *mut c_void),
>;

type Function =
    unsafe extern "C" fn(level: lavoro_log_level, message: *const c_char, user_data: *mut c_void);

#[derive(Clone, Copy)]
struct Target {
    function: Function,
    user_data: *mut c_void,
    level: u32,
}

// SAFETY: nothing here follows `user_data`; the header says that it is called on any thread.
unsafe impl Send for Target {}
// SAFETY: as above: it is only copied.
unsafe impl Sync for Target {}

static TARGET: RwLock<Option<Target>> = RwLock::new(None);
static INSTALLED: OnceLock<bool> = OnceLock::new();

/// Has messages of at least this level (one of lavoro_log_level) sent to a callback, instead of
/// to nowhere. A later call replaces the callback; NULL ends it. When this returns, the one
/// before is called no more.
///
/// Errors: LAVORO_INVALID_STATE if the process has another subscriber of Rust's `tracing`.
/// Thread-safety: any thread. Waits for callbacks that run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lavoro_log_set(
    callback: lavoro_log_callback,
    level: u32,
    user_data: *mut c_void,
) -> lavoro_status {
    guard(|| {
        if level > lavoro_log_level::LAVORO_LOG_DEBUG as u32 {
            return Err(Refusal::argument(format!("level is {level}: it is 0 to 4")));
        }
        if crate::guard::is_in_callback() {
            let message = "lavoro_log_set waits for callbacks: it cannot be called from one";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        let installed = *INSTALLED.get_or_init(|| {
            let subscriber = tracing_subscriber::registry().with(Forward);
            tracing::subscriber::set_global_default(subscriber).is_ok()
        });
        if !installed {
            let message = "the process has another subscriber of tracing";
            return Err(Refusal::new(lavoro_status::LAVORO_INVALID_STATE, message));
        }
        let target = callback.map(|function| Target { function, user_data, level });
        *TARGET.write().unwrap_or_else(PoisonError::into_inner) = target;
        Ok(())
    })
}

struct Forward;

impl<S: Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => lavoro_log_level::LAVORO_LOG_ERROR,
            Level::WARN => lavoro_log_level::LAVORO_LOG_WARN,
            Level::INFO => lavoro_log_level::LAVORO_LOG_INFO,
            _ => lavoro_log_level::LAVORO_LOG_DEBUG,
        };
        // Of others' libraries, such as drivers, only what is wrong.
        if !event.metadata().target().starts_with("lavoro")
            && level as u32 > lavoro_log_level::LAVORO_LOG_WARN as u32
        {
            return;
        }
        let target = TARGET.read().unwrap_or_else(PoisonError::into_inner);
        let Some(Target { function, user_data, .. }) =
            target.filter(|target| level as u32 <= target.level)
        else {
            return;
        };
        let mut line = Line(String::new());
        event.record(&mut line);
        let message = c_string(line.0.replace(['\n', '\r'], " "));
        // SAFETY: whoever set it promised a function that may be called on any thread.
        in_callback(|| unsafe { function(level, message.as_ptr(), user_data) });
    }
}

/// The message and its fields on one line.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = if field.name() == "message" {
            let rest = std::mem::take(&mut self.0);
            write!(self.0, "{value:?}{rest}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}
