//! The statements, each from its own file, with the schema's name filled in.

use std::sync::Arc;

/// Declares [`Statements`] from the names of the files under `sql/`.
macro_rules! statements {
    ($($name:ident,)*) => {
        /// Every statement that Lavoro sends, ready for one schema.
        #[derive(Debug)]
        pub(crate) struct Statements {
            $(pub(crate) $name: Arc<str>,)*
        }

        /// The names of the statements with their text for the default schema.
        pub(crate) const ALL: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("sql/", stringify!($name), ".sql"))),)*];

        impl Statements {
            /// Fills in the schema's name.
            pub(crate) fn new(schema: &str) -> Self {
                let mut texts = ALL.iter().map(|(_, text)| lavoro_migrations::render(text, schema));
                // The fields are filled in the order in which ALL lists them.
                Self { $($name: texts.next().unwrap_or_default().into(),)* }
            }
        }
    };
}

statements! {
    claim,
    claim_void,
    claimed,
    enqueue,
    enqueue_keyed,
    enqueue_one,
    finish,
    give_back,
    hint,
    hold,
    job_cancel,
    job_ended,
    job_exists,
    job_get,
    job_list,
    job_number,
    job_retry,
    lanes_handled,
    lease_drop,
    lost_leases,
    next_due,
    peek,
    producer_last,
    producer_open,
    promote,
    prune,
    queue_clear_ready,
    queue_clear_scheduled,
    queue_hold_running,
    queue_lanes,
    queue_left,
    queue_list,
    queue_mark,
    queue_move_ready,
    queue_move_running,
    queue_move_scheduled,
    queue_pause,
    queue_running,
    queue_settings_copy,
    queue_settings_drop,
    recorded,
    schema_version,
    server,
    silent_workers,
    standing,
    sweep,
    unhandled,
    unlocked,
    wal_position,
    why,
    worker_beat,
    worker_end,
    worker_idle,
    worker_list,
    worker_load,
    worker_lost,
    worker_start,
}
