import { EventEmitter } from "node:events";
import type { Duration } from "./duration.js";
import { milliseconds } from "./duration.js";
import { invalidOption, LavoroError, native, nativeSync, type StopReason } from "./errors.js";
import { attempt, type Entry, type HandlerOptions, type Handlers } from "./handlers.js";
import { type Handed, Job } from "./job.js";
import type { NativeClient, NativeDesk, NativeWorker } from "./native.js";
import { answer, convert, WORKER_OPTIONS } from "./options.js";
import type { StandardSchema } from "./schema.js";
import type { AnyTasks, Backoff, Timing } from "./types.js";

/** How many jobs are asked for at once; how many come, the free slots decide. */
const BATCH = 100;

/** How a worker works. */
export interface WorkerOptions<T = AnyTasks> {
  /** Handlers by task. Only jobs of these tasks are claimed. */
  handlers: Handlers<T>;
  /** How many jobs of each queue run at once. Default: `{ default: 10 }`. `mail-*` is allowed. */
  queues?: Record<string, number | { concurrency: number; weight?: number }>;
  /** How many jobs run at once in all. */
  concurrency?: number;
  /** What the worker is called. Default: `host:pid`. */
  name?: string;
  /** How long handlers get to stop when `stop` has waited for its timeout. */
  grace?: Duration;
  timing?: Timing;
  /** Whether it does maintenance. Default: true. */
  maintenance?: boolean;
  /** Where it answers health checks and metrics: `127.0.0.1:9100`. */
  listen?: string;
  /** When a worker all of whose handlers do not return counts as stuck. */
  stuckAfter?: Duration;
}

/** How to stop. */
export interface StopOptions {
  /** Whether to wait for running handlers. Default: true. */
  graceful?: boolean;
  /** How long. Default: 30 seconds. */
  timeout?: Duration;
}

/** The attempt that an event is about. */
export interface EventJob {
  id: string;
  task: string;
  queue: string;
  attempt: number;
  maxAttempts: number;
  waitedMs: number | null;
  ranMs: number | null;
}

/** What happened to a job. What is told of an outcome is committed. */
export interface JobEvent {
  event: string;
  queue: string;
  job: EventJob;
  percent?: number | null;
  message?: string | null;
  delayMs?: number;
  failure?: { kind: string; message: string } | null;
}

/** What a worker emits. */
export interface WorkerEvents {
  started: [event: JobEvent];
  progressed: [event: JobEvent];
  completed: [event: JobEvent];
  failed: [event: JobEvent];
  retried: [event: JobEvent];
  snoozed: [event: JobEvent];
  released: [event: JobEvent];
  discarded: [event: JobEvent];
  cancelled: [event: JobEvent];
  queue_empty: [event: { event: string; queue: string }];
  /** Every slot holds a handler that does not return: end the process. */
  stuck: [];
  /** Something went wrong beside jobs. Never thrown if nobody listens. */
  error: [error: Error];
  /** The worker has ended. */
  stopped: [];
}

const NATIVE_EVENTS: ReadonlySet<string | symbol> = new Set<keyof WorkerEvents>([
  "started",
  "progressed",
  "completed",
  "failed",
  "retried",
  "snoozed",
  "released",
  "discarded",
  "cancelled",
  "queue_empty",
]);

/**
 * A running worker. It keeps the process alive until it is stopped. Leases are kept by threads of
 * Lavoro's own, however long the event loop is blocked.
 */
export class Worker extends EventEmitter<WorkerEvents> {
  readonly #native: NativeWorker;
  readonly #desk: NativeDesk;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #watched = new Map<number, Job>();
  readonly #loops: Promise<unknown>;
  #serials: number[] = [];
  #outcomes: string[] = [];
  #stop: Promise<boolean> | undefined;
  #listening = false;

  /** @internal */
  constructor(worker: NativeWorker, entries: ReadonlyMap<string, Entry>) {
    super();
    this.#native = worker;
    this.#desk = worker.desk;
    this.#entries = entries;
    (this as EventEmitter).on("newListener", (name: string | symbol) => {
      if (NATIVE_EVENTS.has(name) && !this.#listening) this.#listen();
    });
    this.#loops = Promise.all([this.#pull(), this.#hear()]);
  }

  /** @internal Starts a worker. */
  static async start<T>(
    client: Promise<NativeClient>,
    options: WorkerOptions<T>,
    schemas: Record<string, StandardSchema | undefined>,
  ): Promise<Worker> {
    const { handlers, ...rest } = options;
    const { entries, more } = register(handlers as Record<string, unknown>, schemas);
    const given = convert(WORKER_OPTIONS, { ...rest, ...more }, "options");
    const json = JSON.stringify({ language: "node", ...given });
    return new Worker(await native((await client).startWorker(json)), entries);
  }

  /** The worker's number in the database. */
  get id(): string {
    return nativeSync(() => this.#native.id);
  }

  /** Where it answers HTTP requests, if it was asked to. */
  get address(): string | null {
    return nativeSync(() => this.#native.address) ?? null;
  }

  /** How the worker is. */
  health(): { healthy: boolean; running: number; waiting: number; slots: number; stopping: boolean; stuck: boolean; sinceContactMs: number } {
    return answer(JSON.parse(nativeSync(() => this.#native.health()))) as ReturnType<Worker["health"]>;
  }

  /**
   * Stops: claims no more, waits for running handlers at most as long as `timeout`, raises the
   * signals of those that still run, and hands their jobs back uncounted. Answers whether all had
   * returned in time. Later calls answer the same.
   */
  stop(options: StopOptions = {}): Promise<boolean> {
    return (this.#stop ??= this.#end(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #end({ graceful = true, timeout = 30_000 }: StopOptions): Promise<boolean> {
    const drained = await native(this.#native.stop(graceful ? milliseconds(timeout, "timeout") : 0));
    await this.#loops;
    this.emit("stopped");
    return drained;
  }

  /** @internal Raises the job's signal when it must stop. */
  watch(job: Job): void {
    this.#watched.set(job.serial, job);
  }

  async #pull(): Promise<void> {
    try {
      for (;;) {
        const text = await this.#native.nextJobs(BATCH);
        if (text === null) return;
        for (const handed of JSON.parse(text) as Handed[]) this.#run(handed);
      }
    } catch (error) {
      this.#report(error);
    }
  }

  #run(handed: Handed): void {
    const job = new Job(handed, this.#desk, this);
    const outcome = attempt(this.#entries.get(handed.task), job);
    if (typeof outcome === "string") this.#finish(handed.serial, outcome);
    else void outcome.then((outcome) => this.#finish(handed.serial, outcome));
  }

  /** What ends in one turn of the event loop is reported together. */
  #finish(serial: number, outcome: string): void {
    this.#watched.delete(serial);
    if (this.#serials.push(serial) === 1) setImmediate(() => this.#flush());
    this.#outcomes.push(outcome);
  }

  #flush(): void {
    const [serials, outcomes] = [this.#serials, this.#outcomes];
    this.#serials = [];
    this.#outcomes = [];
    // Once the worker has ended there is nobody to tell: the jobs were handed back.
    this.#native.finish(serials, outcomes).catch(() => undefined);
  }

  /** Hears which attempts must stop, until the worker has ended. */
  async #hear(): Promise<void> {
    try {
      for (;;) {
        for (const { serial, reason } of await this.#desk.signals()) {
          if (serial !== 0) this.#watched.get(serial)?.abort(reason as StopReason);
          else if (reason === "end") return;
          else this.emit("stuck");
        }
      }
    } catch (error) {
      this.#report(error);
    }
  }

  #listen(): void {
    this.#listening = true;
    void this.#tell().catch((error: unknown) => this.#report(error));
  }

  async #tell(): Promise<void> {
    const events = nativeSync(() => this.#native.events());
    for (;;) {
      const texts = await native(events.next());
      if (texts.length === 0) return;
      for (const text of texts) {
        const event = answer(JSON.parse(text)) as JobEvent;
        this.#emit(event.event as "started", event);
      }
    }
  }

  /** A listener that throws must end neither the worker nor the other listeners' events. */
  #emit(name: "started", event: JobEvent): void {
    try {
      this.emit(name, event);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    if (this.listenerCount("error") === 0) return;
    try {
      this.emit("error", error instanceof Error ? error : new LavoroError("internal", String(error)));
    } catch {
      // A listener for errors that throws has nobody to tell.
    }
  }
}

/** @internal Handlers as a worker has them, and the options that follow from them. */
export function register(
  handlers: Record<string, unknown>,
  schemas: Record<string, StandardSchema | undefined>,
): { entries: Map<string, Entry>; more: Record<string, unknown> } {
  if (typeof handlers !== "object" || handlers === null) {
    throw invalidOption("options.handlers takes an object: a function for each task");
  }
  const entries = new Map<string, Entry>();
  const backoff: [string, Backoff][] = [];
  const continues: string[] = [];
  for (const [task, given] of Object.entries(handlers)) {
    if (given === undefined) continue;
    const options = (typeof given === "function" ? { run: given } : given) as HandlerOptions;
    if (typeof options?.run !== "function") {
      throw invalidOption(`options.handlers.${task} takes a function, or an object with "run"`);
    }
    const schema = options.schema ?? (Object.hasOwn(schemas, task) ? schemas[task] : undefined);
    entries.set(task, { run: options.run, schema });
    if (options.backoff !== undefined) backoff.push([task, options.backoff]);
    if (options.onLostContact === "continue") continues.push(task);
  }
  const more = {
    tasks: [...entries.keys()],
    backoff: Object.fromEntries(backoff),
    continueOnLostContact: continues,
  };
  return { entries, more };
}
