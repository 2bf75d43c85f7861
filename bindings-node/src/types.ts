import type { Duration } from "./duration.js";
import type { StandardSchema } from "./schema.js";
import type { SqlExecutor } from "./transaction.js";

/** Tasks that are not declared: any name, any payload. */
export type AnyTasks = { [task: string]: { payload: any; result: any } };

/** The names of declared tasks. */
export type TaskName<T> = Extract<keyof T, string>;

/** The payload of a task, which is declared as `{ payload, result }` or as a function. */
export type PayloadOf<T, K extends keyof T> = T[K] extends (payload: infer P, ...rest: any[]) => unknown
  ? P
  : T[K] extends { payload: infer P }
    ? P
    : undefined;

/** The result of a task. */
export type ResultOf<T, K extends keyof T> = T[K] extends (...all: any[]) => infer R
  ? Awaited<R>
  : T[K] extends { result: infer R }
    ? R
    : unknown;

/** Payload and options; a payload that may be undefined may be left out. */
export type EnqueueArguments<T, K extends keyof T> =
  undefined extends PayloadOf<T, K>
    ? [payload?: PayloadOf<T, K>, options?: EnqueueOptions]
    : [payload: PayloadOf<T, K>, options?: EnqueueOptions];

/** How long to wait after a failed attempt. */
export interface Backoff {
  /** How the waits grow. Default: `exponential`. */
  kind?: "exponential" | "linear" | "fixed";
  /** The first wait. Default: 2 seconds. */
  base?: Duration;
  /** The longest wait. Default: 1 hour. */
  max?: Duration;
  /** The random share, 0 to 1. */
  jitter?: number;
}

/** Options of a job. */
export interface JobOptions {
  /** The queue. Default: `default`. */
  queue?: string;
  /** Larger runs first. Default: 0. */
  priority?: number;
  /** Not before so much time has passed. */
  delay?: Duration;
  /** Not before this instant. */
  runAt?: Date | string;
  /** Cancelled if no attempt has begun within this time. */
  expiresIn?: Duration;
  /** Cancelled if no attempt has begun by then. */
  expiresAt?: Date | string;
  /** The task of a job that follows if this one is discarded. */
  onDiscarded?: string;
  /** How many attempts it has. Default: 20. */
  maxAttempts?: number;
  /** How long one attempt may take. Default: no limit. */
  timeout?: Duration;
  /** How long to wait after a failed attempt. */
  backoff?: Backoff;
  /** While a job with this key has not ended, another one is not made: its handle is answered. */
  uniqueKey?: string;
  /** Labels. */
  tags?: string[];
  /** Data of the application's own, beside the payload. */
  metadata?: Record<string, unknown>;
  /** The W3C trace that the job goes on with. */
  traceparent?: string;
  /** What vendors add to `traceparent`. */
  tracestate?: string;
}

/** Options of an enqueue. */
export interface EnqueueOptions extends JobOptions {
  /** The caller's own transaction: the job exists if that commits. See `fromPg` and its kin. */
  using?: SqlExecutor;
}

/** One job of `enqueueMany`. */
export type NewJob<T = AnyTasks> = {
  [K in TaskName<T>]: JobOptions & { task: K } & (undefined extends PayloadOf<T, K>
      ? { payload?: PayloadOf<T, K> }
      : { payload: PayloadOf<T, K> });
}[TaskName<T>];

/** The clockwork of leases and maintenance; the same for all programs on a database. */
export interface Timing {
  /** Default: 3 seconds. */
  heartbeat?: Duration;
  /** Default: 15 seconds. */
  lease?: Duration;
  /** Default: 1 second. */
  scan?: Duration;
  /** Default: 1 second. */
  poll?: Duration;
  prune?: Duration;
  tally?: Duration;
}

/** How to connect. */
export interface ConnectOptions<T = AnyTasks> {
  /**
   * `postgres://…`, `embedded:` (a private server with its data in `.lavoro/`) or `memory:` (a
   * throw-away server). Default: `LAVORO_DATABASE_URL`, else `DATABASE_URL`, else `embedded:`.
   */
  url?: string;
  /** The schema. Default: `LAVORO_SCHEMA`, else `lavoro`. */
  schema?: string;
  /** How many connections at most. Default: 4. */
  poolSize?: number;
  /** Whether a pooler in transaction mode is in between. */
  transactionPooler?: boolean;
  /** Whether this client does maintenance, without any worker. Default: false. */
  maintenance?: boolean;
  /** Whether to create or upgrade the schema first. Default: for embedded servers only. */
  migrate?: boolean;
  /** Whether to warn of jobs that no worker handles. */
  warnUnhandled?: boolean;
  /** For how long an enqueue is tried while the database cannot be reached. */
  enqueueTimeout?: Duration;
  /** How long a statement may take. */
  statementTimeout?: Duration;
  timing?: Timing;
  /** Validators of payloads, by task: zod, valibot, or any other Standard Schema. */
  schemas?: { [K in TaskName<T>]?: StandardSchema };
}

/** Where a job is in its life. */
export type JobState = "scheduled" | "available" | "running" | "retrying" | "completed" | "cancelled" | "discarded";

/** An attempt that did not succeed. */
export interface JobFailure {
  attempt: number;
  kind: string;
  message: string;
  counted: boolean;
  failedAt: Date;
}

/** A job as it stands in the database. */
export interface JobInfo<P = any, R = any> {
  id: string;
  task: string;
  queue: string;
  state: JobState;
  priority: number;
  attempt: number;
  maxAttempts: number;
  runAt: Date;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  worker: string | null;
  payload: P;
  result: R | null;
  errors: JobFailure[];
  tags: string[];
  metadata: Record<string, unknown> | null;
  uniqueKey: string | null;
  timeoutMs: number | null;
  progress: JobProgress | null;
  expiresAt: Date | null;
  onDiscarded: string | null;
}

/** How far a handler says it has come. */
export interface JobProgress {
  percent: number | null;
  message: string | null;
  data: unknown;
  updatedAt: Date;
}

/** A line of a job's log. */
export interface LogLine {
  id: string;
  loggedAt: Date;
  attempt: number;
  line: string;
}

/** Which jobs. Everything that is given must hold. */
export interface JobFilter {
  state?: JobState;
  task?: string;
  queue?: string;
  tag?: string;
  createdAfter?: Date | string;
  createdBefore?: Date | string;
  /** In the text of an error. */
  errorContains?: string;
  /** Older than this job: the next page. */
  before?: string;
  /** How many. Default: 50. */
  limit?: number;
}

/** A change to a job that waits. */
export interface JobEdit {
  payload?: unknown;
  queue?: string;
  priority?: number;
  delay?: Duration;
  runAt?: Date | string;
}

/** What a change to many jobs did. */
export interface BulkOutcome {
  matched: number;
  changed: number;
  skipped: number;
}

/** When a schedule enqueues its job, and what of slots that were missed or overlap. */
export interface ScheduleOptions {
  /** Five fields, or six with seconds. */
  cron?: string;
  /** Words (`"hour"`, `"sunday"`, `"last day of month"`), or milliseconds. */
  every?: string | number;
  /** `"HH:MM"`, beside `every` of a day or longer. */
  at?: string;
  /** A weekday, beside `every` week or month. */
  on?: string;
  hour?: number;
  minute?: number;
  dayOfMonth?: number;
  /** An IANA name. Default: UTC. */
  timeZone?: string;
  start?: Date | string;
  end?: Date | string;
  /** Enqueues each slot's job up to so much later. */
  jitter?: Duration;
  missed?: "skip" | "latest" | "all" | { policy: "skip" | "latest" | "all"; within?: Duration; limit?: number };
  overlap?: "skip" | "queue" | "allow";
  onLost?: "retry" | "hold";
}

/** A schedule: a job for each of its slots. */
export interface ScheduleSpec<T = AnyTasks, K extends TaskName<T> = TaskName<T>> extends ScheduleOptions {
  name: string;
  task: K;
  payload?: PayloadOf<T, K>;
  /** Options of the jobs. */
  options?: JobOptions;
}

/** A schedule as it stands in the database. */
export interface ScheduleInfo {
  name: string;
  task: string;
  queue: string;
  cron: string | null;
  everyMs: number | null;
  timeZone: string;
  pausedAt: Date | null;
  declared: boolean;
  problem: string | null;
  payload: unknown;
  next: string[];
  lastJob: string | null;
  [more: string]: unknown;
}

/** What was decided of a slot. */
export interface SlotInfo {
  slot: Date;
  decidedAt: Date;
  decision: string;
  reason: string | null;
  job: string | null;
  [more: string]: unknown;
}

/** A queue that holds jobs or settings. */
export interface QueueInfo {
  name: string;
  available: number;
  scheduled: number;
  retrying: number;
  running: number;
  pausedAt: Date | null;
  oldest: string | null;
}

/** A worker as it stands in the database. */
export interface WorkerInfo {
  id: string;
  name: string;
  host: string;
  pid: number;
  language: string;
  version: string;
  state: string;
  queues: Record<string, { concurrency: number; weight: number }>;
  tasks: string[];
  startedAt: Date;
  beatAt: Date;
  endedAt: Date | null;
  slots: number;
  running: number;
  [more: string]: unknown;
}

/** A lock that someone holds. */
export interface LockInfo {
  name: string;
  owner: string;
  host: string | null;
  pid: number | null;
  fence: string;
  acquiredAt: Date;
  expiresAt: Date;
  lifetimeMs: number;
  waiting: number;
}
