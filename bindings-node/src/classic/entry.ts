import type { Context, ScheduleOptions } from "./engine.js";
import type { ScheduledTask } from "./registry.js";

/** Whoever looks after a schedule. */
export interface ScheduleOwner {
  /** Looks after it no more. */
  letGo(entry: ScheduleEntry): void;
  /** Removes it from the database, for all programs. Answers whether it was there. */
  removeSchedule(entry: ScheduleEntry): Promise<boolean>;
}

/** What a schedule enqueues. */
export interface ScheduledWork {
  task: string;
  payload?: unknown;
  options: Record<string, unknown>;
}

/** A schedule of this process. */
export class ScheduleEntry implements ScheduledTask {
  readonly name: string;
  /** Where it is stored; `undefined`: on the default connection. */
  readonly connection: string | undefined;
  readonly when: ScheduleOptions;
  /** What it enqueues; `undefined`: its callback's task. */
  readonly work: ScheduledWork | undefined;
  /** What each slot calls, in a process that has declared it. */
  readonly callback: ((context: Context) => unknown) | undefined;
  owner: ScheduleOwner | undefined;
  stopped = false;

  constructor(fields: {
    name: string;
    connection?: string;
    when: ScheduleOptions;
    work?: ScheduledWork;
    callback?: (context: Context) => unknown;
  }) {
    this.name = fields.name;
    this.connection = fields.connection;
    this.when = fields.when;
    this.work = fields.work;
    this.callback = fields.callback;
  }

  stop(): void {
    this.stopped = true;
    this.owner?.letGo(this);
  }
}
