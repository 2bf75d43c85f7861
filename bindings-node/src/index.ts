/**
 * Lavoro: a job queue on PostgreSQL, for applications in several languages.
 *
 * @module
 */
export { createLavoro, Lavoro } from "./client.js";
export type { Duration } from "./duration.js";
export { JobAbortError, JobEndedError, LavoroError, type StopReason } from "./errors.js";
export { JobHandle, type JobOutcome, type ResultOptions } from "./handle.js";
export type { Handler, HandlerOptions, Handlers } from "./handlers.js";
export { inProcess, inThread, type IsolatedOptions, type ProcessOptions, type ThreadOptions } from "./isolated.js";
export { Lock, LockLostError, type LockOptions } from "./lock.js";
export { cancel, fail, Outcome, retry, snooze } from "./outcome.js";
export type { SchemaInput, StandardSchema } from "./schema.js";
export {
  type DrizzleSql,
  fromDrizzle,
  fromKnex,
  fromKysely,
  fromPg,
  fromPostgres,
  fromTypeorm,
  type PgClient,
  type SqlExecutor,
} from "./transaction.js";
export type * from "./types.js";
export type { Jobs, Locks, Queues, RetentionRule, RetentionRules, Schedules } from "./admin.js";
export { type EventJob, type JobEvent, type StopOptions, Worker, type WorkerEvents, type WorkerOptions as LavoroWorkerOptions } from "./worker.js";
// The classes of Lavoro for JavaScript. `Job` and `Schedule` are theirs: what a plain handler gets
// is a `JobContext`.
export * from "./classic/index.js";
