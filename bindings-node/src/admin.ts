import type { Duration } from "./duration.js";
import type { Engine } from "./engine.js";
import { editOf, JobHandle } from "./handle.js";
import { convert, FILTER, RETENTION, SCHEDULE_OPTIONS, fields, span } from "./options.js";
import type { BulkOutcome, JobEdit, JobFilter, JobInfo, LockInfo, QueueInfo, ScheduleSpec, ScheduleInfo, SlotInfo } from "./types.js";

const filterOf = (filter?: JobFilter) => ({ filter: convert(FILTER, filter, "filter") });

/** Jobs by filter. */
export class Jobs {
  readonly #engine: Engine;
  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
  }
  /** A page of jobs, newest first; `next` goes into `before` for the one after it. */
  page(filter?: JobFilter): Promise<{ jobs: JobInfo[]; next: string | null }> {
    return this.#engine.call("jobs.page", filterOf(filter));
  }
  /** Jobs, newest first. */
  list(filter?: JobFilter): Promise<JobInfo[]> {
    return this.#engine.call("jobs.list", filterOf(filter));
  }
  /** All jobs, newest first, page by page. */
  async *iterate(filter: JobFilter = {}): AsyncGenerator<JobInfo, void, undefined> {
    let before = filter.before;
    do {
      const page = await this.page({ ...filter, before });
      yield* page.jobs;
      before = page.next ?? undefined;
    } while (before !== undefined);
  }
  count(filter?: JobFilter): Promise<number> {
    return this.#engine.call("jobs.count", filterOf(filter));
  }
  cancel(filter?: JobFilter): Promise<BulkOutcome> {
    return this.#engine.call("jobs.cancel", filterOf(filter));
  }
  retry(filter?: JobFilter): Promise<BulkOutcome> {
    return this.#engine.call("jobs.retry", filterOf(filter));
  }
  delete(filter?: JobFilter): Promise<BulkOutcome> {
    return this.#engine.call("jobs.delete", filterOf(filter));
  }
  edit(filter: JobFilter | undefined, edit: JobEdit): Promise<BulkOutcome> {
    return this.#engine.call("jobs.edit", { ...filterOf(filter), edit: editOf(edit) });
  }
}

/** Queues by name. */
export class Queues {
  readonly #engine: Engine;
  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
  }
  list(): Promise<QueueInfo[]> {
    return this.#engine.call("queues.list");
  }
  /** Nothing is claimed from it until it is resumed. Running jobs go on. */
  async pause(queue: string): Promise<void> {
    await this.#engine.call("queues.pause", { queue });
  }
  async resume(queue: string): Promise<void> {
    await this.#engine.call("queues.resume", { queue });
  }
  /** Moves all jobs to a queue of another name. */
  rename(from: string, to: string): Promise<{ from: string; to: string; waiting: number; running: number; left: number }> {
    return this.#engine.call("queues.rename", { from, to });
  }
  /** Deletes all jobs that wait. */
  clear(queue: string): Promise<{ queue: string; deleted: number; left: number }> {
    return this.#engine.call("queues.clear", { queue });
  }
}

/** Schedules by name. */
export class Schedules<T> {
  readonly #engine: Engine;
  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
  }
  /** Adds a schedule. @throws LavoroError `schedule_exists`, `invalid_schedule`. */
  async add(schedule: ScheduleSpec<T>): Promise<void> {
    await this.#engine.call("schedules.add", scheduleOf(schedule));
  }
  /** Declares a schedule: stored if it is new or has changed, however many programs say so. */
  async declare(schedule: ScheduleSpec<T>): Promise<void> {
    await this.#engine.call("schedules.declare", scheduleOf(schedule));
  }
  /** Adds or replaces. Answers whether it was new. */
  async replace(schedule: ScheduleSpec<T>): Promise<boolean> {
    return (await this.#engine.call<{ created: boolean }>("schedules.replace", scheduleOf(schedule))).created;
  }
  /** The next instants of a schedule that need not be stored. */
  async preview(schedule: ScheduleSpec<T>, options: { after?: Date; count?: number } = {}): Promise<Date[]> {
    const args = { schedule: scheduleOf(schedule), after: options.after?.toISOString(), count: options.count };
    return ((await this.#engine.raw("schedules.preview", args)) as string[]).map((text) => new Date(text));
  }
  list(): Promise<ScheduleInfo[]> {
    return this.#engine.call("schedules.list");
  }
  show(name: string): Promise<ScheduleInfo> {
    return this.#engine.call("schedules.show", { name });
  }
  /** What was decided of its latest slots. */
  slots(name: string, limit?: number): Promise<SlotInfo[]> {
    return this.#engine.call("schedules.slots", { name, limit });
  }
  async pause(name: string): Promise<void> {
    await this.#engine.call("schedules.pause", { name });
  }
  async resume(name: string): Promise<void> {
    await this.#engine.call("schedules.resume", { name });
  }
  /** Enqueues its job now. */
  async run(name: string): Promise<JobHandle> {
    const { id } = await this.#engine.call<{ id: string }>("schedules.run", { name });
    return new JobHandle(this.#engine, id, true);
  }
  /** Answers whether there was one. */
  async remove(name: string): Promise<boolean> {
    return (await this.#engine.call<{ removed: boolean }>("schedules.remove", { name })).removed;
  }
}

/** Locks that anybody holds. */
export class Locks {
  readonly #engine: Engine;
  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
  }
  list(): Promise<LockInfo[]> {
    return this.#engine.call("locks.list");
  }
  /** Releases a lock whoever holds it. Answers the owner; `null`: nobody held it. */
  async forceRelease(name: string): Promise<string | null> {
    return (await this.#engine.call<{ owner: string | null }>("locks.force_release", { name })).owner;
  }
}

/** How long ended jobs are kept. */
export interface RetentionRule {
  /** Default: all tasks without a rule of their own. */
  task?: string;
  completed?: Duration;
  cancelled?: Duration;
  discarded?: Duration;
}

/** Rules of retention. */
export class RetentionRules {
  readonly #engine: Engine;
  /** @internal */
  constructor(engine: Engine) {
    this.#engine = engine;
  }
  list(): Promise<{ task: string | null; completedMs: number | null; cancelledMs: number | null; discardedMs: number | null }[]> {
    return this.#engine.call("retention.list");
  }
  async set(rule: RetentionRule): Promise<void> {
    await this.#engine.call("retention.set", convert(RETENTION, rule, "rule"));
  }
  async remove(task?: string): Promise<boolean> {
    return (await this.#engine.call<{ removed: boolean }>("retention.remove", { task })).removed;
  }
}

/** A schedule as the engine takes it. */
export function scheduleOf(schedule: object): Record<string, unknown> {
  return convert(SCHEDULE_OPTIONS, schedule, "schedule");
}

/** The time that figures are about. */
export const WINDOW = fields({ window: span("window_ms") });
