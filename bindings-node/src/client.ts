import { Jobs, Locks, Queues, RetentionRules, scheduleOf, Schedules, WINDOW } from "./admin.js";
import { Engine } from "./engine.js";
import { LavoroError, native } from "./errors.js";
import { JobHandle } from "./handle.js";
import { plainText, toJson } from "./json.js";
import { Lock, type LockOptions } from "./lock.js";
import { milliseconds, type Duration } from "./duration.js";
import { load, type NativeLock } from "./native.js";
import { CONNECT_OPTIONS, convert, JOB_OPTIONS } from "./options.js";
import { execute } from "./transaction.js";
import { type StandardSchema, validate } from "./schema.js";
import type {
  AnyTasks,
  ConnectOptions,
  EnqueueArguments,
  EnqueueOptions,
  JobOptions,
  NewJob,
  PayloadOf,
  ResultOf,
  ScheduleSpec,
  ScheduleOptions,
  TaskName,
  WorkerInfo,
} from "./types.js";
import { Worker, type WorkerOptions } from "./worker.js";

/**
 * A client of one database and schema: enqueues jobs, and is what workers start from. It connects
 * when it is first used. An idle client does not keep the process alive.
 *
 * `Tasks` ties names of tasks to payloads and results: `{ add: { payload: [number, number];
 * result: number } }`, or `{ add: (pair: [number, number]) => number }`.
 */
export class Lavoro<Tasks = AnyTasks> {
  readonly #engine: Engine;
  readonly #schemas: Record<string, StandardSchema | undefined>;
  readonly #workers = new Set<Worker>();
  /** Keeps locks from being collected, and so released, while they are held. */
  readonly #held = new Set<Lock>();
  /** Jobs by filter. */
  readonly jobs: Jobs;
  readonly queues: Queues;
  readonly schedules: Schedules<Tasks>;
  readonly locks: Locks;
  readonly retention: RetentionRules;

  constructor(options: ConnectOptions<Tasks> = {}) {
    const { schemas, ...rest } = options;
    this.#engine = new Engine(JSON.stringify(convert(CONNECT_OPTIONS, rest, "options")));
    this.#schemas = (schemas ?? {}) as Record<string, StandardSchema | undefined>;
    this.jobs = new Jobs(this.#engine);
    this.queues = new Queues(this.#engine);
    this.schedules = new Schedules(this.#engine);
    this.locks = new Locks(this.#engine);
    this.retention = new RetentionRules(this.#engine);
  }

  /**
   * Connects now, rather than with the first call.
   *
   * @throws LavoroError `connection_failed`, `schema_missing`, …
   */
  async connect(): Promise<this> {
    await this.#engine.client();
    return this;
  }

  /** The URL that other programs reach this database under. It may hold a password. */
  async url(): Promise<string> {
    return (await this.#engine.client()).url;
  }

  /** The schema. */
  async schema(): Promise<string> {
    return (await this.#engine.client()).schema;
  }

  /**
   * Enqueues a job. When this resolves, the job is committed and safe; with `using`, it commits
   * with the caller's transaction.
   *
   * @throws LavoroError what is wrong with the job (`invalid_task`, `payload_too_large`,
   * `invalid_option`, …), `unique_pending`, or what is wrong with the database.
   */
  async enqueue<K extends TaskName<Tasks>>(
    task: K,
    ...[payload, options]: EnqueueArguments<Tasks, K>
  ): Promise<JobHandle<ResultOf<Tasks, K>>> {
    plainText(task, "invalid_task", "task");
    const { using, ...rest } = (options ?? {}) as EnqueueOptions;
    const json = toJson(await this.#checked(task, payload), "payload");
    const given = JSON.stringify(convert(JOB_OPTIONS, rest, "options"));
    if (using !== undefined) return this.#enqueueIn(using, task, json, given);
    const client = await this.#engine.client();
    const { ids, existing } = await native(client.enqueue(task, json, given));
    return new JobHandle(this.#engine, ids[0] as string, existing.length === 0);
  }

  async #enqueueIn<R>(using: NonNullable<EnqueueOptions["using"]>, task: string, payload: string, options: string): Promise<JobHandle<R>> {
    const client = await this.#engine.client();
    const args = `{"task":${JSON.stringify(task)},"payload":${payload},"options":${options}}`;
    const call = JSON.parse(await native(client.call("enqueue_sql", args))) as { text: string; parameters: (string | null)[] };
    const rows = await execute(using, call.text, call.parameters);
    const row = rows[0] as { id: unknown; created: unknown } | undefined;
    if (row === undefined) throw new LavoroError("internal", "the executor answered no row");
    return new JobHandle(this.#engine, String(row.id), row.created !== false);
  }

  /**
   * Enqueues many jobs, and answers their handles in the same order. All are checked before
   * anything is sent; those without unique keys are committed together or not at all.
   */
  async enqueueMany(jobs: readonly NewJob<Tasks>[]): Promise<JobHandle[]> {
    const texts: string[] = [];
    for (const [place, job] of jobs.entries()) {
      const { task, payload, ...options } = job as JobOptions & { task: string; payload?: unknown };
      const json = toJson(await this.#checked(task, payload), `payload of job ${place}`);
      const rest = JSON.stringify(convert(JOB_OPTIONS, options, `jobs[${place}]`)).slice(1);
      texts.push(`{"task":${JSON.stringify(task)},"payload":${json}${rest === "}" ? "" : ","}${rest}`);
    }
    const client = await this.#engine.client();
    const { ids, existing } = await native(client.enqueueMany(`[${texts.join(",")}]`));
    const old = new Set(existing);
    return ids.map((id, place) => new JobHandle(this.#engine, id, !old.has(place)));
  }

  /** A handle on a job by its number, without asking the database. */
  job<R = any>(id: string): JobHandle<R> {
    return new JobHandle(this.#engine, String(id), false);
  }

  /**
   * Starts a worker.
   *
   * @throws LavoroError `invalid_option`, `invalid_queue`, `invalid_task`, or what is wrong with
   * the database.
   */
  async worker(options: WorkerOptions<Tasks>): Promise<Worker> {
    const worker = await Worker.start(this.#engine.client(), options, this.#schemas);
    this.#workers.add(worker);
    worker.once("stopped", () => this.#workers.delete(worker));
    return worker;
  }

  /**
   * Declares that a job is enqueued each time: `every("hour", "clean")`,
   * `every("day", "report", null, { at: "07:30", timeZone: "Europe/Rome" })`. The schedule is
   * called like the task unless it is given a name; declare it in each program that has it.
   */
  async every<K extends TaskName<Tasks>>(
    interval: string | number,
    task: K,
    payload?: PayloadOf<Tasks, K>,
    options: Omit<ScheduleOptions, "cron" | "every"> & { name?: string; options?: JobOptions } = {},
  ): Promise<void> {
    await this.schedule({ name: task, ...options, task, payload, every: interval } as ScheduleSpec<Tasks>);
  }

  /** Declares a schedule. @throws LavoroError `invalid_schedule`. */
  async schedule(schedule: ScheduleSpec<Tasks>): Promise<void> {
    await this.#engine.call("schedules.declare", scheduleOf(schedule));
  }

  /**
   * Takes the lock of this name, waiting in line.
   *
   * @throws LavoroError `timeout` if it was not free in time; the signal's reason.
   */
  async lock(name: string, options: LockOptions = {}): Promise<Lock> {
    const { signal } = options;
    signal?.throwIfAborted();
    const request = await this.#request(name, options);
    const stop = () => request.cancel();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    try {
      const lock = await native(request.acquire());
      if (lock !== null) return this.#hold(lock);
      throw signal?.reason ?? new LavoroError("internal", "the wait for a lock ended without a reason");
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Takes the lock if it is free and nobody waits for it; else `null`, at once. */
  async tryLock(name: string, options: Omit<LockOptions, "wait" | "signal"> = {}): Promise<Lock | null> {
    const lock = await native((await this.#request(name, options)).tryAcquire());
    return lock === null ? null : this.#hold(lock);
  }

  /** Holds a lock on that another process serialized. @throws LavoroError `lock_lost`. */
  async restoreLock(text: string): Promise<Lock> {
    return this.#hold(await native((await this.#engine.client()).restoreLock(text)));
  }

  async #request(name: string, options: LockOptions) {
    const millis = (value: Duration | undefined, what: string) =>
      value === undefined ? undefined : milliseconds(value, what);
    const client = await this.#engine.client();
    const { lifetime, wait, owner } = options;
    plainText(name, "invalid_option", "name of a lock");
    if (owner !== undefined) plainText(owner, "invalid_option", "owner of a lock");
    return client.lock(name, millis(lifetime, "lifetime"), millis(wait, "wait"), owner);
  }

  #hold(lock: NativeLock): Lock {
    const held = new Lock(lock, (over) => this.#held.delete(over));
    this.#held.add(held);
    return held;
  }

  /** Workers that run, or with `all` those that have ended too. */
  workers(options: { all?: boolean } = {}): Promise<WorkerInfo[]> {
    return this.#engine.call("workers.list", options);
  }

  /** Queues and tasks with jobs that no worker handles. */
  unhandled(): Promise<{ queue: string; task: string; [more: string]: unknown }[]> {
    return this.#engine.call("unhandled");
  }

  /** Figures of queues and tasks in the last `window`. Default: 10 minutes. */
  statistics(options: { window?: Duration } = {}): Promise<{ queue: string; [more: string]: unknown }[]> {
    return this.#engine.call("statistics", convert(WINDOW, options, "options"));
  }

  /** Figures as text for Prometheus. */
  async metrics(options: { window?: Duration } = {}): Promise<string> {
    return (await this.#engine.call<{ text: string }>("metrics", convert(WINDOW, options, "options"))).text;
  }

  /** What is wrong with the database, and what to do. */
  diagnose(): Promise<{ check: string; status: string; found: string; why: string; remedy: string | null }[]> {
    return this.#engine.call("diagnose");
  }

  /** Creates or upgrades the schema. Answers the versions that were applied. */
  async migrate(): Promise<number[]> {
    return (JSON.parse(await native(load().migrate(this.#engine.options))) as { applied: number[] }).applied;
  }

  /** Stops the workers started from it, then closes all connections. Later calls fail. */
  async close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.stop()));
    await this.#engine.close();
    this.#held.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  get engine(): Engine {
    return this.#engine;
  }

  /** @internal */
  get schemas(): Record<string, StandardSchema | undefined> {
    return this.#schemas;
  }

  async #checked(task: string, payload: unknown): Promise<unknown> {
    const schema = Object.hasOwn(this.#schemas, task) ? this.#schemas[task] : undefined;
    return schema === undefined ? payload : validate(schema, payload, task);
  }
}

/** A client of the database at `options.url`. */
export function createLavoro<Tasks = AnyTasks>(options: ConnectOptions<Tasks> = {}): Lavoro<Tasks> {
  return new Lavoro<Tasks>(options);
}
