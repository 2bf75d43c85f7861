//! The kinds of work. Each file has a task's name, its payload, how it is enqueued, and its
//! handler.

pub(crate) mod album;
pub(crate) mod backup;
pub(crate) mod mail;
pub(crate) mod report;
pub(crate) mod resize;
