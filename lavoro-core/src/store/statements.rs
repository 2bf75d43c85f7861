//! The statements, each from its own file, with the schema's name filled in.

use crate::sabotage;
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
                let mut texts = ALL.iter().map(|(name, text)| {
                    lavoro_migrations::render(&sabotage::altered(name, text), schema)
                });
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
    cancel_wanted,
    checkpoint_load,
    checkpoint_save,
    claim,
    claim_void,
    claimed,
    complete_call,
    complete_one,
    declarer_beat,
    declarer_end,
    depths,
    discover,
    doctor_collation,
    doctor_commit,
    doctor_idle,
    doctor_leftovers,
    doctor_objects,
    doctor_privileges,
    doctor_schedules,
    doctor_server,
    doctor_settings,
    doctor_snapshots,
    doctor_standbys,
    doctor_tables,
    doctor_unserved,
    doctor_workers,
    doctor_wraparound,
    enqueue,
    enqueue_call,
    enqueue_keyed,
    enqueue_lone,
    enqueue_one,
    expire,
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
    job_take,
    job_top,
    kept_note,
    lanes_handled,
    lease_drop,
    lock_channel,
    lock_check,
    lock_extend,
    lock_force,
    lock_leave,
    lock_list,
    lock_release,
    lock_sweep,
    lock_take,
    log_list,
    log_write,
    lost_leases,
    next_due,
    peek,
    producer_last,
    producer_open,
    progress_write,
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
    retention_list,
    retention_remove,
    retention_set,
    schedule_advance,
    schedule_due,
    schedule_fire,
    schedule_list,
    schedule_next,
    schedule_pause,
    schedule_put,
    schedule_read,
    schedule_remove,
    schedule_resume,
    schedule_run,
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
    slot_list,
    slot_prune,
    standing,
    sweep,
    tally_fold,
    tally_read,
    tally_totals,
    tally_write,
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
    worker_rescued,
    worker_start,
}
