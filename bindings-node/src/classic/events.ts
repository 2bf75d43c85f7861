import { EventEmitter } from "node:events";
import type { Job } from "./job.js";

/** What a `Queue` emits. Events of jobs come from the process that runs them. */
export interface QueueEvents {
  /** Something went wrong beside jobs. Never thrown if nobody listens. */
  error: [error: Error];
  /** An attempt begins. */
  "job:start": [job: Job<any>, payload: any];
  /** Every second of an attempt: how many milliseconds it has run. */
  "job:progress": [job: Job<any>, payload: any, elapsed: number];
  /** The handler has returned. */
  "job:complete": [job: Job<any>, payload: any];
  /** The handler has thrown. */
  "job:error": [error: Error, job: Job<any>, payload: any];
  /** The attempt is over, however it went. */
  "job:finish": [job: Job<any>, payload: any];
}

/** An emitter of these events. */
export class QueueEventEmitter extends EventEmitter<QueueEvents> {
  /** Tells listeners; what they throw goes to those who listen for errors. */
  protected tell<K extends keyof QueueEvents>(event: K, ...args: QueueEvents[K]): void {
    try {
      (this as EventEmitter).emit(event, ...args);
    } catch (error) {
      if (event !== "error") this.tell("error", asError(error));
    }
  }

  /** As of an `EventEmitter`, but for `error`, which is not thrown if nobody listens. */
  override emit(event: any, ...args: any[]): boolean {
    if (event === "error" && this.listenerCount("error") === 0) return false;
    return (EventEmitter.prototype.emit as (event: any, ...args: any[]) => boolean).call(this, event, ...args);
  }
}

/** What was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
