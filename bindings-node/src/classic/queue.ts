import { LavoroError } from "../errors.js";
import { snooze } from "../outcome.js";
import { checkConfig } from "./config.js";
import { Connection, type Handlers } from "./connection.js";
import type { Context, Handle, Lavoro } from "./engine.js";
import { ScheduleEntry, type ScheduleOwner } from "./entry.js";
import { asError, QueueEventEmitter } from "./events.js";
import { taskOf, type Job, type Payload } from "./job.js";
import { jobOptions } from "./job_options.js";
import type { LockProvider } from "./lock.js";
import { createDefaultLogger, type Logger } from "./logger.js";
import { MemoryServer } from "./memory_server.js";
import { perform } from "./performer.js";
import { ScheduleRegistry } from "./registry.js";
import type { JobClass, QueueConfig, QueueConnectionName, QueueDriverStopOptions, QueueName } from "./types.js";

/** Where the calls of `Schedule.call` wait. */
const CALLS = "lavoro-schedules";

/**
 * The queues of a config. It dispatches from the beginning; `start` makes it work too, if the
 * config says `worker: true`, and declare schedules.
 */
export class Queue extends QueueEventEmitter implements ScheduleOwner {
  private static readonly started = new Set<Queue>();

  private readonly config: QueueConfig;
  private readonly logger: Logger;
  private readonly jobs = new Map<string, JobClass>();
  private readonly server = new MemoryServer();
  private readonly connections = new Map<string, Connection>();
  private readonly schedules = new Map<string, ScheduleEntry>();
  private state: "new" | "starting" | "started" | "stopping" | "stopped" = "new";
  private turn: Promise<unknown> = Promise.resolve();

  /**
   * @throws Error if the config lacks something; LavoroError `duplicate_handler` if two job
   * classes stand for one task.
   */
  constructor(config: QueueConfig & { logger?: Logger }) {
    super();
    checkConfig(config);
    this.config = config;
    this.logger = config.logger ?? createDefaultLogger("queue");
    for (const job of config.jobs) this.know(job);
    for (const [name, connection] of Object.entries(config.connections)) {
      this.connections.set(name, new Connection(name, connection, this.server));
    }
  }

  private know(job: JobClass): void {
    const task = taskOf(job);
    const other = this.jobs.get(task);
    if (other !== undefined && other !== job) {
      throw new LavoroError(
        "duplicate_handler",
        `two job classes are called "${task}": give them names of their own with \`static task = "…"\``,
      );
    }
    this.jobs.set(task, job);
  }

  /** @internal A queue that has been started: the first that still runs. */
  static running(): Queue | undefined {
    return [...Queue.started][0];
  }

  /** Connects, declares schedules, and works if the config says so. A second call does nothing. */
  start(): Promise<void> {
    return this.inTurn(async () => {
      if (this.state === "started") {
        this.logger.warn("Queue service already started");
        return;
      }
      this.state = "starting";
      try {
        await this.open();
        this.state = "started";
        Queue.started.add(this);
        this.logger.trace({ connections: [...this.connections.keys()] }, "Queue service started");
      } catch (error) {
        await this.end({ graceful: false }).catch(() => undefined);
        throw error;
      }
    });
  }

  private async open(): Promise<void> {
    // One after another: the first on memory() starts the server.
    for (const connection of this.connections.values()) {
      const queues = this.config.worker ? slots(connection) : {};
      if (Object.keys(queues).length > 0 && this.jobs.size > 0) {
        const handlers = Object.fromEntries([...this.jobs].map(([task, job]) => [task, this.handler(job, connection)]));
        await connection.work(queues, handlers, (error) => this.failed(error));
      } else {
        await connection.lavoro();
      }
    }
    for (const task of Object.values(ScheduleRegistry.all())) {
      if (task instanceof ScheduleEntry && task.owner === undefined) this.own(task);
    }
    await this.declare([...this.schedules.values()]);
  }

  private handler(job: JobClass, connection: Connection): Handlers[string] {
    return (payload, context) =>
      perform(job, connection.name, payload, context, (event, ...args) => this.tell(event, ...args));
  }

  private failed(error: Error): void {
    this.logger.error({ err: error }, "Error in the queue");
    this.tell("error", error);
  }

  /**
   * Stops: refuses to enqueue at once, waits for jobs that run, closes everything. Jobs that still
   * run when the time is over see their signal raised and are handed back, uncounted.
   *
   * @throws Error `Graceful shutdown timeout reached` if some did; all is stopped nevertheless.
   */
  stop(options: QueueDriverStopOptions = {}): Promise<void> {
    if (this.state === "started") this.state = "stopping";
    return this.inTurn(async () => {
      if (this.state === "stopped") {
        this.logger.warn("Queue service not started");
        return;
      }
      await this.end(options);
    });
  }

  private async end({ graceful = true, timeout = 30_000 }: QueueDriverStopOptions): Promise<void> {
    this.state = "stopping";
    const errors: unknown[] = [];
    const attempt = async <T>(work: Promise<T>): Promise<T | undefined> => {
      try {
        return await work;
      } catch (error) {
        errors.push(error);
        return undefined;
      }
    };
    const connections = [...this.connections.values()];
    const drained = await Promise.all(connections.map((one) => attempt(one.stop({ graceful, timeout }))));
    for (const name of this.schedules.keys()) ScheduleRegistry.clear(name);
    this.schedules.clear();
    await Promise.all(connections.map((one) => attempt(one.close())));
    await attempt(this.server.close());
    Queue.started.delete(this);
    this.state = "stopped";
    this.logger.trace("Queue service stopped");
    if (errors.length > 0) throw errors[0];
    if (graceful && drained.includes(false)) throw new Error("Graceful shutdown timeout reached");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  /**
   * Enqueues a job with its payload, and answers its handle. Its class need not be in the config:
   * another program may handle it.
   */
  async enqueue<T extends Job<any>, P extends Payload<T>>(job: T, payload: P): Promise<Handle> {
    if (this.state === "stopping") throw new Error("Queue driver is shutting down and cannot accept new jobs");
    if (this.state === "stopped") throw new Error("Queue driver is not started");
    const connection = this.connection(job.options.connection ?? this.getDefaultConnection());
    job.options.queue ??= connection.defaultQueue;
    if (!Object.hasOwn(connection.config.queues, job.options.queue)) {
      throw new Error(`Queue '${job.options.queue}' is not registered.`);
    }
    const lavoro = await connection.lavoro();
    const handle = await lavoro.enqueue(job.name, payload, jobOptions(job));
    job.id = handle.id;
    return handle;
  }

  private connection(name: QueueConnectionName): Connection {
    const connection = this.connections.get(String(name));
    if (connection === undefined) throw new Error(`No driver found for connection: ${String(name)}.`);
    return connection;
  }

  /** The connection that the config names. */
  getDefaultConnection(): QueueConnectionName {
    return this.config.connection;
  }

  /** The first queue of a connection. Default: of the default connection. */
  getDefaultQueue(connection: string = String(this.getDefaultConnection())): QueueName {
    return this.connection(connection as QueueConnectionName).defaultQueue as QueueName;
  }

  /**
   * The locks of a connection.
   *
   * @throws Error `No lock provider found for connection: …` unless this has been started, or the
   * config names a provider.
   */
  getLockProvider(name: QueueConnectionName): LockProvider {
    const connection = this.connections.get(String(name));
    if (connection?.config.lockProvider) return connection.config.lockProvider;
    if (connection === undefined || this.state !== "started") {
      throw new Error(`No lock provider found for connection: ${String(name)}.`);
    }
    return connection.locks;
  }

  /** The client behind a connection: everything else that the engine offers. */
  lavoro(name: QueueConnectionName = this.getDefaultConnection()): Promise<Lavoro> {
    return this.connection(name).lavoro();
  }

  /** Lets `stop` forget the schedule of this name too. */
  registerScheduledJob(name: string): void {
    const entry = ScheduleRegistry.get(name);
    if (entry instanceof ScheduleEntry) this.own(entry);
  }

  private own(entry: ScheduleEntry): void {
    entry.owner = this;
    this.schedules.set(entry.name, entry);
  }

  /** @internal Looks after a schedule from now on: declares it when this has been started. */
  async adopt(entry: ScheduleEntry): Promise<void> {
    this.own(entry);
    if (this.state === "started") await this.declare([entry]);
  }

  private async declare(entries: ScheduleEntry[]): Promise<void> {
    const calls = entries.filter((entry) => entry.callback !== undefined);
    if (calls.length > 0) {
      const connection = this.connection(this.getDefaultConnection());
      const handlers = Object.fromEntries(calls.map((entry) => [callTask(entry), this.caller(entry, connection)]));
      const many = calls.reduce((sum, entry) => sum + (entry.when.overlap === "allow" ? 10 : 1), 0);
      await connection.work({ [CALLS]: Math.min(many, 10_000) }, handlers, (error) => this.failed(error));
    }
    for (const { name, when, ...entry } of entries) {
      const connection = this.connection((entry.connection ?? this.getDefaultConnection()) as QueueConnectionName);
      const work = entry.work ?? { task: callTask({ name }), options: { queue: CALLS, maxAttempts: 1 } };
      await (await connection.keeper()).schedule({ name, ...when, ...work });
    }
  }

  private caller(entry: ScheduleEntry, connection: Connection): Handlers[string] {
    return async (_payload, context: Context) => {
      // Another process may still have it.
      if (entry.stopped) return connection.isPrivate ? context.cancel("the schedule was cleared") : snooze("1s");
      try {
        return await entry.callback?.(context);
      } catch (error) {
        this.failed(asError(error));
        throw error;
      }
    };
  }

  /** @internal */
  letGo(entry: ScheduleEntry): void {
    this.schedules.delete(entry.name);
    if (this.state !== "started" || !this.connectionOf(entry).isPrivate) return;
    this.removeSchedule(entry).catch((error: unknown) => {
      // A stop takes the whole server away.
      if (this.state === "started") this.failed(asError(error));
    });
  }

  /** @internal */
  async removeSchedule(entry: ScheduleEntry): Promise<boolean> {
    return (await this.connectionOf(entry).lavoro()).schedules.remove(entry.name);
  }

  private connectionOf(entry: ScheduleEntry): Connection {
    return this.connection((entry.connection ?? this.getDefaultConnection()) as QueueConnectionName);
  }
}

/** The task of a schedule's calls. */
function callTask(entry: { name: string }): string {
  return `schedule:${entry.name}`;
}

/** How many jobs of each queue run at a time. */
function slots(connection: Connection): Record<string, number> {
  const all = Object.entries(connection.config.queues).map(([name, { concurrency = 1 }]): [string, number] => [name, concurrency]);
  return Object.fromEntries(all.filter(([, concurrency]) => concurrency > 0));
}
