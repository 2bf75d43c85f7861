//! What the bindings for other languages share.
//!
//! Every language takes the same options with the same names, limits and errors, because all of
//! them are read here, from JSON text in UTF-8. Keys are in `snake_case`; durations are whole
//! milliseconds in keys that end in `_ms`; instants are strings as of RFC 3339; numbers of jobs
//! are decimal strings, and taken as numbers too. An unknown key is refused with
//! `invalid_option`, and so is a value of the wrong type; both errors name the key. A key that is
//! `null` counts as left out. Empty text stands for `{}`.
//!
//! What is called often (enqueue, pull, finish) has a way without JSON around the payload; all
//! else goes through [`call`], whose [`METHODS`] are the list of what each language offers.

mod call;
mod connect;
mod job;
mod outcome;
mod parse;
mod schedule;
mod show;
mod worker;

pub use call::{METHODS, Method, call, migrate};
pub use connect::connect_options;
pub use job::{new_job, new_jobs};
pub use outcome::outcome;
pub use schedule::schedule;
pub use show::{event_json, job_json};
pub use worker::worker_options;
