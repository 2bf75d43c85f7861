// What the classes take from the functional form, under the names that they use.
export { createLavoro, type Lavoro } from "../client.js";
export type { JobHandle as Handle } from "../handle.js";
export type { Job as Context } from "../job.js";
export type { Lock as HeldLock } from "../lock.js";
export { Outcome } from "../outcome.js";
export type { ScheduleOptions } from "../types.js";
export type { Worker } from "../worker.js";
