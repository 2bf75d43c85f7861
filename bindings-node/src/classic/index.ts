// The classes of Lavoro for JavaScript. Interfaces that applications augment must reach the
// package's index through `export *`.
export { defineConfig } from "./config.js";
export type { Context as JobContext, Handle } from "./engine.js";
export type { QueueEvents } from "./events.js";
export {
  intervalToCron,
  parseTime,
  type IntervalCronOptions,
  type ScheduleInterval,
  type ScheduleIntervalDayOfWeek,
  type ScheduleIntervalTime,
} from "./interval.js";
export { Job, type Options, type Payload, type PayloadWithLock, type QueueResolver } from "./job.js";
export { getDistributedLockKey, LavoroLockProvider, type LockProvider, type ProviderLock } from "./lock.js";
export { createDefaultLogger, Logger, type LogAdapter, type LogLevel } from "./logger.js";
export { PendingDispatch } from "./pending_dispatch.js";
export { PendingJobSchedule } from "./pending_job_schedule.js";
export { PendingSchedule } from "./pending_schedule.js";
export { Queue } from "./queue.js";
export { ScheduleRegistry, type ScheduledTask } from "./registry.js";
export { defaultScheduleLockProvider, Schedule } from "./schedule.js";
export * from "./types.js";
