-- Removes everything that the migrations made, and the schema if nothing else is left in it.
drop view if exists lavoro.schedules, lavoro.locks, lavoro.jobs;
drop function if exists lavoro.lock_check, lavoro.lock_force_release, lavoro.lock_release,
    lavoro.lock_extend, lavoro.lock_acquire, lavoro.lock_millis, lavoro.lock_take, lavoro.lock_durably, lavoro.lock_wake,
    lavoro.lock_channel;
drop function if exists lavoro.schedule_add, lavoro.schedule_run, lavoro.schedule_remove,
    lavoro.schedule_resume, lavoro.schedule_pause, lavoro.run_held, lavoro.run_ended, lavoro.schedule_lock,
    lavoro.fire;
drop table if exists lavoro.declarer, lavoro.slot, lavoro.schedule_state, lavoro.schedule;
drop function if exists lavoro.edit_all, lavoro.delete_all, lavoro.retry_all, lavoro.cancel_all,
    lavoro.unlist, lavoro.put_back, lavoro.withdraw_all, lavoro.has_worker, lavoro.follow_up, lavoro.expire, lavoro.forget,
    lavoro.delete, lavoro.move_key, lavoro.edit, lavoro.retry, lavoro.cancel, lavoro.withdraw, lavoro.complete,
    lavoro.enqueue, lavoro.enqueue_unique, lavoro.enqueue_as, lavoro.take_key, lavoro.check_backoff, lavoro.due_at, lavoro.check_instant,
    lavoro.check_range, lavoro.check_json, lavoro.check_name;
drop table if exists lavoro.lock_waiter, lavoro.lock;
drop sequence if exists lavoro.lock_ticket, lavoro.lock_fence;
drop table if exists lavoro.kept, lavoro.retention, lavoro.tally, lavoro.log, lavoro.checkpoint,
    lavoro.progress, lavoro.expiry, lavoro.cancel_request, lavoro.unique_key, lavoro.queue, lavoro.producer,
    lavoro.worker, lavoro.error, lavoro.past_outcome, lavoro.outcome, lavoro.lease,
    lavoro.scheduled, lavoro.ready, lavoro.job, lavoro.migration;
do $$
begin
    drop schema /*schema*/lavoro;
exception when dependent_objects_still_exist or insufficient_privilege then
    raise notice 'the schema stays: it holds other objects, or belongs to someone else';
end
$$;
