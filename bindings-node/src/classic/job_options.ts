import type { EnqueueOptions } from "../types.js";
import type { Job } from "./job.js";

/** A job's options as the functional form takes them. */
export function jobOptions(job: Job<any>): EnqueueOptions {
  const { retries, delay, runAt, maxAttempts, connection: _, ...same } = job.options;
  const options: EnqueueOptions = { ...same, maxAttempts: maxAttempts ?? (retries ?? 3) + 1 };
  if (runAt !== undefined) options.runAt = runAt;
  else if (delay !== 0 && delay !== undefined) options.delay = delay;
  return options;
}
