import type { Duration } from "./duration.js";
import { milliseconds } from "./duration.js";
import { errorText } from "./json.js";

/**
 * What a handler says of its job instead of a result: return it or throw it. Made by `retry`,
 * `snooze`, `cancel` and `fail`.
 */
export class Outcome extends Error {
  /** The outcome as the engine takes it: JSON. */
  readonly json: string;

  /** @internal */
  constructor(kind: string, fields: Record<string, unknown>, text: string) {
    super(text);
    this.name = "Outcome";
    this.json = JSON.stringify({ outcome: kind, ...fields });
  }

  /** @internal An outcome that is JSON already. */
  static of(json: string): Outcome {
    const outcome = new Outcome("", {}, "");
    (outcome as { json: string }).json = json;
    return outcome;
  }
}

/** The attempt failed: again after `delay`, or after the job's backoff. */
export function retry(error: unknown, options: { delay?: Duration } = {}): Outcome {
  const text = errorText(error);
  const delay = options.delay === undefined ? undefined : milliseconds(options.delay, "delay");
  return new Outcome("retry", { error: text, delay_ms: delay }, text);
}

/** Not now: again after `delay`. The attempt is not counted. */
export function snooze(delay: Duration): Outcome {
  return new Outcome("snooze", { delay_ms: milliseconds(delay, "delay") }, "snoozed");
}

/** The job is no longer wanted. */
export function cancel(reason?: string): Outcome {
  return new Outcome("cancel", { reason }, reason ?? "cancelled");
}

/** The job cannot succeed: it is discarded without another attempt. */
export function fail(error: unknown): Outcome {
  const text = errorText(error);
  return new Outcome("fail", { error: text }, text);
}
