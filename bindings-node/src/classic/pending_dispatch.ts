import type { Duration } from "../duration.js";
import type { SqlExecutor } from "../transaction.js";
import type { Handle } from "./engine.js";
import type { Job, Payload, QueueResolver } from "./job.js";
import { Pending } from "./pending.js";
import type { DefaultConnectionName, QueueConnectionName, QueueNameForConnection } from "./types.js";

/**
 * A job on its way. Awaiting it dispatches it and answers its handle; if it is not awaited it is
 * dispatched at the end of the current turn, and a failure is an unhandled rejection. It is
 * dispatched once, however often it is awaited.
 */
export class PendingDispatch<
  T extends Job<any>,
  P extends Payload<T> = Payload<T>,
  C extends QueueConnectionName = DefaultConnectionName,
> extends Pending<Handle> {
  private readonly job: T;
  private readonly payload: P;

  constructor(job: T, payload: P) {
    super();
    this.job = job;
    this.payload = payload;
    this.plan();
  }

  /** On this connection. */
  onConnection<N extends QueueConnectionName>(connection: N): PendingDispatch<T, P, N> {
    this.set("connection", connection);
    return this as unknown as PendingDispatch<T, P, N>;
  }

  /** In this queue of the connection. */
  onQueue(queue: QueueNameForConnection<C>): this {
    return this.set("queue", queue as string);
  }

  /** Not before so much time has passed: milliseconds, or words such as `"5 minutes"`. */
  delay(delay: Duration): this {
    delete this.job.options.runAt;
    return this.set("delay", delay);
  }

  /** Not before this instant. */
  at(instant: Date | string): this {
    this.set("delay", 0);
    return this.set("runAt", instant);
  }

  /** Larger runs first. */
  priority(priority: number): this {
    return this.set("priority", priority);
  }

  /** While a job of this queue and task with this key has not ended, no other is made. */
  uniqueKey(key: string): this {
    return this.set("uniqueKey", key);
  }

  /** How many attempts there are, the first one included. */
  maxAttempts(attempts: number): this {
    return this.set("maxAttempts", attempts);
  }

  /** How long one attempt may take. */
  timeout(timeout: Duration): this {
    return this.set("timeout", timeout);
  }

  /** In the caller's own transaction: the job exists if that commits. */
  using(transaction: SqlExecutor): this {
    return this.set("using", transaction);
  }

  /** On the queue that this finds. */
  withQueueServiceResolver(resolver: QueueResolver): this {
    this.open();
    this.job.setQueueServiceResolver(resolver);
    return this;
  }

  private set<K extends keyof Job["options"]>(name: K, value: Job["options"][K]): this {
    this.open();
    this.job.options[name] = value;
    return this;
  }

  protected async execute(): Promise<Handle> {
    const resolver = this.job.getQueueServiceResolver;
    if (!resolver) {
      throw new Error(
        "Queue service resolver is not set.\nDid you forget to call Job.setDefaultQueueServiceResolver()?",
      );
    }
    const queue = await resolver();
    return queue.enqueue(this.job, this.payload);
  }
}
