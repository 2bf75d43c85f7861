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
    bulk_cancel,
    bulk_delete,
    bulk_edit,
    bulk_lock,
    bulk_retry,
    bulk_states,
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
    job_delete,
    job_edit,
    job_ended,
    job_exists,
    job_get,
    job_number,
    job_page,
    job_retry,
    job_top,
    lease_drop,
    lost_leases,
    next_due,
    peek,
    producer_last,
    producer_open,
    promote,
    prune,
    queue_list,
    queue_pause,
    recorded,
    schema_version,
    search_all,
    search_match,
    search_outcome,
    search_ready,
    search_running,
    search_scheduled,
    search_unsuccessful,
    server,
    silent_workers,
    standing,
    sweep,
    unlocked,
    wal_position,
    worker_beat,
    worker_end,
    worker_idle,
    worker_lost,
    worker_start,
}
