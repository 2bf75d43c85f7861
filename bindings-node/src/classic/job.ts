import { randomUUID } from "node:crypto";
import type { Duration } from "../duration.js";
import type { Backoff } from "../types.js";
import type { SqlExecutor } from "../transaction.js";
import type { Context } from "./engine.js";
import { PendingDispatch } from "./pending_dispatch.js";
import type { Queue } from "./queue.js";
import type { JobClass, MaybePromise, QueueConnectionName } from "./types.js";

/** The payload of a job class. */
export type Payload<T extends Job<any>> = T extends Job<infer P> ? P : unknown;

/** The payload of a job class. Locks are never part of it any more. */
export type PayloadWithLock<T extends Job<any>, P extends Payload<T> = Payload<T>> = P;

/** Options of a job. */
export interface Options {
  /** The connection. Default: that of the config. */
  connection?: QueueConnectionName;
  /** The queue. Default: the connection's first. */
  queue?: string;
  /** How many more attempts follow a failed first one. Default: 3. */
  retries: number;
  /** Not before so much time has passed. Default: 0. */
  delay: Duration;
  /** Not before this instant; excludes `delay`. */
  runAt?: Date | string;
  /** Larger runs first. Default: 0. */
  priority?: number;
  /** How many attempts there are. Default: `retries` + 1. */
  maxAttempts?: number;
  /** How long one attempt may take. Default: no limit. */
  timeout?: Duration;
  /** How long to wait after a failed attempt. Default: exponential from 2 seconds to 1 hour. */
  backoff?: Backoff;
  /** While a job with this key has not ended, no other is made: its handle is answered. */
  uniqueKey?: string;
  /** Labels. */
  tags?: string[];
  /** Data of the application's own, beside the payload. */
  metadata?: Record<string, unknown>;
  /** The caller's own transaction: the job exists if that commits. */
  using?: SqlExecutor;
}

/** How to find the queue that dispatches. */
export type QueueResolver = () => MaybePromise<Queue>;

/**
 * A kind of work: subclasses implement `handle`. The task that the database and other languages
 * know it as is the name of the class, or `static task`, which no minifier changes.
 */
export abstract class Job<P = unknown> {
  /** The task. Default: the name of the class. */
  static task?: string;

  private static defaultQueueServiceResolver: QueueResolver | undefined;

  /** Options of this job; a subclass may set others. */
  options: Options = { retries: 3, delay: 0 };

  private _id: string = randomUUID();
  private queueServiceResolver: QueueResolver | undefined;

  /** Does the work. What it answers is the job's result; what it throws fails the attempt. */
  abstract handle(payload: P, context: Context): MaybePromise<unknown>;

  /**
   * One name of queue and task. The first underscore parts them: one in the name of the queue is
   * written as `%5F`.
   */
  static compileName(queue: string, name: string): string {
    const escaped = queue.replace(/[%_]/g, (one) => (one === "_" ? "%5F" : "%25"));
    return `${escaped}_${name}`;
  }

  /** Queue and task of such a name. */
  static parseName(name: string): { queue: string; name: string } {
    const place = name.indexOf("_");
    if (place < 1 || place === name.length - 1) throw new Error(`Invalid job class name: ${name}`);
    const queue = name.slice(0, place).replace(/%(5F|25)/g, (_, code: string) => (code === "5F" ? "_" : "%"));
    return { queue, name: name.slice(place + 1) };
  }

  /** Tells all jobs without a resolver of their own where their queue is. */
  static setDefaultQueueServiceResolver(resolver: QueueResolver | undefined): void {
    Job.defaultQueueServiceResolver = resolver;
  }

  /** @internal */
  static get resolver(): QueueResolver | undefined {
    return Job.defaultQueueServiceResolver;
  }

  /** Tells this job where its queue is. */
  setQueueServiceResolver(resolver: QueueResolver): void {
    this.queueServiceResolver = resolver;
  }

  get getQueueServiceResolver(): QueueResolver | undefined {
    return this.queueServiceResolver ?? Job.defaultQueueServiceResolver;
  }

  get connection(): QueueConnectionName | undefined {
    return this.options.connection;
  }

  set connection(connection: QueueConnectionName | undefined) {
    if (connection === undefined) delete this.options.connection;
    else this.options.connection = connection;
  }

  get queue(): string | undefined {
    return this.options.queue;
  }

  set queue(queue: string | undefined) {
    if (queue === undefined) delete this.options.queue;
    else this.options.queue = queue;
  }

  /** The task: the name of the class, or its `static task`. */
  get name(): string {
    return taskOf(this.constructor as JobClass);
  }

  /** The id: of its own until it is enqueued, then the database's. */
  get id(): string {
    return this._id;
  }

  set id(id: string) {
    this._id = id;
  }

  /** @throws Error `Queue is not set.` */
  get fullyQualifiedName(): string {
    if (!this.options.queue) throw new Error("Queue is not set.");
    return Job.compileName(this.options.queue, this.name);
  }

  /**
   * Dispatches a job with its payload: when it is awaited, or else at the end of the current turn.
   * Answers a handle.
   */
  static dispatch<T extends Job<any>>(
    this: new () => T,
    ...payload: undefined extends Payload<T> ? [payload?: Payload<T>] : [payload: Payload<T>]
  ): PendingDispatch<T, Payload<T>> {
    return new PendingDispatch<T, Payload<T>>(new this(), payload[0] as Payload<T>);
  }
}

/** The task of a job class. */
export function taskOf(job: JobClass): string {
  const own = Object.hasOwn(job, "task") ? job.task : undefined;
  return own ?? job.name;
}
