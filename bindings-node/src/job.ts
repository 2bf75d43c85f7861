import type { Duration } from "./duration.js";
import { JobAbortError, native, nativeSync, type StopReason } from "./errors.js";
import { resultToJson, toJson } from "./json.js";
import type { NativeDesk } from "./native.js";
import * as outcomes from "./outcome.js";
import type { Outcome } from "./outcome.js";
import { execute, type SqlExecutor } from "./transaction.js";

/** @internal A job as the native part hands it out. */
export interface Handed {
  serial: number;
  id: string;
  token: string;
  task: string;
  queue: string;
  attempt: number;
  max_attempts: number;
  priority: number;
  suspect: boolean;
  created_at: string;
  claimed_at: string;
  timeout_ms: number | null;
  tags: string[];
  payload: unknown;
  metadata: Record<string, unknown> | null;
  traceparent: string | null;
  tracestate: string | null;
  slot: { name: string; slot: string } | null;
}

/** @internal Whoever tells attempts to stop. */
export interface Watcher {
  watch(job: Job): void;
}

/** A running attempt: what a handler is given beside the payload. */
export class Job<P = any> {
  readonly #handed: Handed;
  readonly #desk: NativeDesk;
  readonly #watcher: Watcher;
  #abort: AbortController | undefined;
  /** @internal What the handler decided last, if it said so. */
  decided: Outcome | undefined;

  /** @internal */
  constructor(handed: Handed, desk: NativeDesk, watcher: Watcher) {
    this.#handed = handed;
    this.#desk = desk;
    this.#watcher = watcher;
  }

  /** The job's number: the key that makes effects outside the database idempotent. */
  get id(): string {
    return this.#handed.id;
  }
  /** The lease's token: what `lavoro.complete` takes. */
  get token(): string {
    return this.#handed.token;
  }
  get task(): string {
    return this.#handed.task;
  }
  get queue(): string {
    return this.#handed.queue;
  }
  /** Which attempt this is, from 1. */
  get attempt(): number {
    return this.#handed.attempt;
  }
  get maxAttempts(): number {
    return this.#handed.max_attempts;
  }
  get priority(): number {
    return this.#handed.priority;
  }
  /** Whether it was leased beside a crash, and runs as the only one of its kind here. */
  get suspect(): boolean {
    return this.#handed.suspect;
  }
  /** When it was enqueued, by the server's clock. */
  get createdAt(): Date {
    return new Date(this.#handed.created_at);
  }
  /** When this attempt was claimed, by the server's clock. */
  get claimedAt(): Date {
    return new Date(this.#handed.claimed_at);
  }
  /** How many milliseconds this attempt may take. */
  get timeoutMs(): number | null {
    return this.#handed.timeout_ms;
  }
  get tags(): string[] {
    return this.#handed.tags;
  }
  get payload(): P {
    return this.#handed.payload as P;
  }
  get metadata(): Record<string, unknown> | null {
    return this.#handed.metadata;
  }
  get traceparent(): string | null {
    return this.#handed.traceparent;
  }
  get tracestate(): string | null {
    return this.#handed.tracestate;
  }
  /** The schedule and the slot that it was enqueued for. */
  get slot(): { name: string; slot: Date } | null {
    const slot = this.#handed.slot;
    return slot && { name: slot.name, slot: new Date(slot.slot) };
  }

  /** @internal */
  get serial(): number {
    return this.#handed.serial;
  }

  /**
   * Raised when the handler should stop: it was cancelled or timed out, the worker stops or has
   * lost contact. Its reason is a `JobAbortError`.
   */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      const reason = this.#tryWatch();
      if (reason !== null) this.abort(reason);
    }
    return this.#abort.signal;
  }

  #tryWatch(): StopReason | null {
    try {
      const reason = this.#desk.watch(this.serial);
      if (reason === null) this.#watcher.watch(this);
      return reason as StopReason | null;
    } catch {
      // The handler has returned: nothing will be told any more.
      return null;
    }
  }

  /** @internal */
  abort(reason: StopReason): void {
    this.#abort?.abort(new JobAbortError(reason));
  }

  /**
   * Says how far the job has come: 0 to 100, a message for people, data for programs. Never
   * waits.
   *
   * @throws LavoroError `invalid_option` for a percentage out of its range; what is wrong with
   * the data; `stale_lease` after the handler has returned.
   */
  progress(percent: number | null, message?: string, data?: unknown): void {
    const json = data === undefined ? undefined : toJson(data, "data of the progress");
    nativeSync(() => this.#desk.progress(this.serial, percent ?? undefined, message, json));
  }

  /** Adds a line to the job's log: at most 1000 lines of 4 KiB per attempt. Never waits. */
  log(line: string): void {
    nativeSync(() => this.#desk.log(this.serial, String(line)));
  }

  /**
   * What was saved last for this job, by this attempt or one before it; `undefined` if nothing.
   */
  async checkpoint<T = unknown>(): Promise<T | undefined> {
    const json = await native(this.#desk.checkpoint(this.serial));
    return json === null ? undefined : (JSON.parse(json) as T);
  }

  /**
   * Saves what the next attempt needs to go on from here. It is committed when this resolves.
   *
   * @throws LavoroError `stale_lease` if the attempt is not the current one any more.
   */
  async saveCheckpoint(value: unknown): Promise<void> {
    await native(this.#desk.saveCheckpoint(this.serial, toJson(value, "checkpoint")));
  }

  /**
   * Completes the job in the caller's own transaction: its effects and the completion commit
   * together or not at all. The handler returns after the commit; what it returns then changes
   * nothing.
   *
   * @throws LavoroError `stale_lease` if this attempt is not the current one any more: roll back.
   */
  async completeIn(transaction: SqlExecutor, result?: unknown): Promise<void> {
    const { text, parameters } = nativeSync(() => this.#desk.completeSql(this.serial, resultToJson(result)));
    await execute(transaction, text, parameters.map((value) => value ?? null));
  }

  /** Decides: again after `delay`, not counted. Holds unless the handler throws an error. */
  snooze(delay: Duration): Outcome {
    return (this.decided = outcomes.snooze(delay));
  }
  /** Decides: failed; again after `delay`, or after the job's backoff. */
  retry(error: unknown, options?: { delay?: Duration }): Outcome {
    return (this.decided = outcomes.retry(error, options));
  }
  /** Decides: no longer wanted. */
  cancel(reason?: string): Outcome {
    return (this.decided = outcomes.cancel(reason));
  }
  /** Decides: failed for good. */
  fail(error: unknown): Outcome {
    return (this.decided = outcomes.fail(error));
  }
}
