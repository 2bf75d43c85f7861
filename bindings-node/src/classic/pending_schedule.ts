import { milliseconds, type Duration } from "../duration.js";
import type { Context, ScheduleOptions } from "./engine.js";
import { ScheduleEntry } from "./entry.js";
import type { IntervalCronOptions, ScheduleInterval, ScheduleIntervalDayOfWeek, ScheduleIntervalTime } from "./interval.js";
import { Job, type QueueResolver } from "./job.js";
import { getDistributedLockKey, type LockProvider } from "./lock.js";
import { Pending } from "./pending.js";
import { Queue } from "./queue.js";
import { ScheduleRegistry } from "./registry.js";
import { Timing } from "./timing.js";
import type { MaybePromise } from "./types.js";

/**
 * A schedule that is being put together. It is declared when it is awaited, or else at the end of
 * the turn in which it was told when to fire. Awaiting it before that rejects.
 */
export class PendingSchedule extends Pending<void> {
  protected name: string;
  protected readonly cb: (context: Context) => MaybePromise<unknown>;
  protected readonly lockProviderResolver: (() => LockProvider) | undefined;
  private readonly timing = new Timing();
  private ttl: Duration = "15s";
  private overlap = false;
  private readonly more: Pick<ScheduleOptions, "timeZone" | "missed"> = {};

  constructor(
    name: string,
    cb: (context: Context) => MaybePromise<unknown>,
    lockProviderResolver?: () => LockProvider,
  ) {
    super();
    this.name = name;
    this.cb = cb;
    this.lockProviderResolver = lockProviderResolver;
  }

  /** By a cron expression of five fields, or of six that begin with seconds. */
  cron(pattern: string): this {
    return this.time((timing) => timing.cron(pattern));
  }

  /** At an interval, and when within it. */
  every(interval: ScheduleInterval, options?: IntervalCronOptions): this {
    return this.time((timing) => timing.every(interval, options));
  }

  /** On this day of `week`, or the first such day of `month`. */
  on(dayOfWeek: ScheduleIntervalDayOfWeek): this {
    return this.time((timing) => timing.on(dayOfWeek));
  }

  /** At this time of the day: of days, weeks and months. */
  at(time: ScheduleIntervalTime): this {
    return this.time((timing) => timing.at(time));
  }

  /** In this time zone, by its IANA name. Default: UTC. */
  timeZone(name: string): this {
    this.open();
    this.more.timeZone = name;
    return this;
  }

  /** What becomes of slots that passed while no process ran. Default: the latest fires. */
  missed(missed: NonNullable<ScheduleOptions["missed"]>): this {
    this.open();
    this.more.missed = missed;
    return this;
  }

  /**
   * For how long a lock of `Schedule.setLockProviderResolver` is taken; it is extended while the
   * callback runs. Without such a resolver it says nothing: a run holds off the next one until it
   * has ended, however long that takes. Default: 15 seconds.
   */
  lockFor(ttl: Duration): this {
    this.open();
    milliseconds(ttl, "ttl");
    this.ttl = ttl;
    return this;
  }

  /** Fires although the last run has not ended: once for each slot, in the whole fleet. */
  overlapping(): this {
    this.open();
    this.overlap = true;
    return this;
  }

  private time(change: (timing: Timing) => void): this {
    this.open();
    change(this.timing);
    this.plan();
    return this;
  }

  protected get when(): ScheduleOptions {
    return { ...this.timing.when(), ...this.more, overlap: this.overlap ? "allow" : "skip" };
  }

  protected resolver(): QueueResolver | undefined {
    return Job.resolver;
  }

  protected entry(_queue: Queue | undefined): ScheduleEntry {
    const { lockProviderResolver: resolver, cb, name, ttl } = this;
    const callback = resolver && !this.overlap ? underLock(resolver, name, ttl, cb) : cb;
    return new ScheduleEntry({ name, when: this.when, callback });
  }

  protected async execute(): Promise<void> {
    if (!this.timing.isSet) {
      throw new Error("No schedule pattern defined. To schedule a task, set interval explicitly.");
    }
    const resolver = this.resolver();
    const queue = resolver ? await resolver() : Queue.running();
    const entry = this.entry(queue);
    ScheduleRegistry.add(entry.name, entry);
    try {
      // Without a queue it waits for the first one that starts.
      await queue?.adopt(entry);
    } catch (error) {
      ScheduleRegistry.clear(entry.name);
      throw error;
    }
  }
}

/** A callback that runs while it holds a lock of the user's own, and not at all if it is taken. */
function underLock(
  resolver: () => LockProvider,
  name: string,
  ttl: Duration,
  callback: (context: Context) => MaybePromise<unknown>,
): (context: Context) => Promise<unknown> {
  return async (context) => {
    const lock = resolver().createLock(getDistributedLockKey(name), ttl);
    if (!(await lock.acquireImmediately())) return undefined;
    const extend = () => void lock.extend(ttl).catch(() => undefined);
    const timer = setInterval(extend, Math.max(milliseconds(ttl, "ttl") / 2, 1));
    try {
      return await callback(context);
    } finally {
      clearInterval(timer);
      // One that was lost meanwhile is another's: it stays.
      await lock.release().catch(() => undefined);
    }
  };
}
