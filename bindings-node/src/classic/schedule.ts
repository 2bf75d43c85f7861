import type { Context } from "./engine.js";
import { ScheduleEntry } from "./entry.js";
import { Job, type Payload } from "./job.js";
import type { LockProvider } from "./lock.js";
import { PendingJobSchedule } from "./pending_job_schedule.js";
import { PendingSchedule } from "./pending_schedule.js";
import { Queue } from "./queue.js";
import { ScheduleRegistry } from "./registry.js";
import type { MaybePromise } from "./types.js";

/** Schedules: functions and jobs that repeat. */
export class Schedule {
  private static lockProviderResolver: (() => LockProvider) | undefined;

  /**
   * Calls a function in each slot, in one of the processes that have declared it under this name:
   * a task is enqueued, which those handle that run. What it throws is told by `error` of the
   * queue; the slot is not tried again.
   */
  static call(name: string, cb: (context: Context) => MaybePromise<unknown>): PendingSchedule {
    return new PendingSchedule(name, cb, this.lockProviderResolver);
  }

  /** Enqueues a job in each slot. */
  static job<T extends Job<any>>(
    job: new () => T,
    ...payload: undefined extends Payload<T> ? [payload?: Payload<T>] : [payload: Payload<T>]
  ): PendingJobSchedule<T, Payload<T>> {
    return new PendingJobSchedule<T, Payload<T>>(new job(), payload[0] as Payload<T>);
  }

  /**
   * Forgets the schedule of this name, or all, in this process: it declares them no more and
   * handles their calls no more. On `memory()` they are gone; in a PostgreSQL they stay for the
   * other processes: see `remove`.
   */
  static clear(name?: string): void {
    ScheduleRegistry.clear(name);
  }

  /** Removes a schedule of this process from the database, for all. Answers whether it was there. */
  static async remove(name: string): Promise<boolean> {
    const entry = ScheduleRegistry.get(name);
    if (!(entry instanceof ScheduleEntry)) return false;
    const owner = entry.owner;
    ScheduleRegistry.clear(entry.name);
    return owner === undefined ? false : owner.removeSchedule(entry);
  }

  /** Lets later `call`s take a lock of this provider too, beside Lavoro's own rule of one run. */
  static setLockProviderResolver(resolver: (() => LockProvider) | undefined): void {
    this.lockProviderResolver = resolver;
  }

  /** The locks of that provider; by default those of the queue's default connection. */
  static getLockProvider(): LockProvider {
    return (this.lockProviderResolver ?? defaultScheduleLockProvider)();
  }
}

/** Lavoro's own locks on the default connection of the queue that runs. */
export function defaultScheduleLockProvider(): LockProvider {
  const queue = Queue.running();
  if (queue === undefined) throw new Error("Queue service resolver is not set: no queue has been started");
  return queue.getLockProvider(queue.getDefaultConnection());
}

