import { createHash } from "node:crypto";
import { toJson } from "../json.js";
import { ScheduleEntry } from "./entry.js";
import type { Job, Payload, QueueResolver } from "./job.js";
import { jobOptions } from "./job_options.js";
import { PendingSchedule } from "./pending_schedule.js";
import type { Queue } from "./queue.js";
import type { DefaultConnectionName, QueueConnectionName, QueueNameForConnection } from "./types.js";

/** A schedule of a job. Each payload makes a schedule of its own. */
export class PendingJobSchedule<
  T extends Job<any>,
  P extends Payload<T> = Payload<T>,
  C extends QueueConnectionName = DefaultConnectionName,
> extends PendingSchedule {
  protected readonly job: T;
  protected readonly payload: P;
  private given: string | undefined;

  constructor(job: T, payload: P) {
    super(job.name, () => undefined);
    this.job = job;
    this.payload = payload;
  }

  /** On this connection. */
  onConnection<N extends QueueConnectionName>(connection: N): PendingJobSchedule<T, P, N> {
    this.open();
    this.job.options.connection = connection;
    return this as unknown as PendingJobSchedule<T, P, N>;
  }

  /** In this queue of the connection. */
  onQueue(queue: QueueNameForConnection<C>): this {
    this.open();
    this.job.options.queue = queue as string;
    return this;
  }

  /** Called so, in place of `connection_queue_Class#payload`. */
  named(name: string): this {
    this.open();
    this.given = name;
    return this;
  }

  protected override resolver(): QueueResolver | undefined {
    return this.job.getQueueServiceResolver;
  }

  protected override entry(queue: Queue | undefined): ScheduleEntry {
    if (queue === undefined) {
      throw new Error(
        "Queue service resolver is not set.\nDid you forget to call Job.setDefaultQueueServiceResolver()?",
      );
    }
    const { options } = this.job;
    const connection = String(options.connection ?? queue.getDefaultConnection());
    options.queue ??= String(queue.getDefaultQueue(connection));
    this.name = this.given ?? `${connection}_${options.queue}_${this.job.name}${this.mark()}`;
    const { delay: _, runAt: __, uniqueKey: ___, using: ____, ...kept } = jobOptions(this.job);
    const work = { task: this.job.name, payload: this.payload, options: { ...kept, queue: options.queue } };
    return new ScheduleEntry({ name: this.name, connection, when: this.when, work });
  }

  /** What tells schedules of one job apart: a hash of the payload. */
  private mark(): string {
    const text = toJson(this.payload, "payload");
    if (text === "null" || text === "{}") return "";
    const hash = createHash("sha1").update(JSON.stringify(sorted(JSON.parse(text))));
    return `#${hash.digest("hex").slice(0, 8)}`;
  }
}

/** The same for all objects with these members, in whatever order. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, member]) => [key, sorted(member)]);
}
