import { errorText, resultToJson } from "./json.js";
import { type Job } from "./job.js";
import { Outcome } from "./outcome.js";
import { LavoroError } from "./errors.js";
import { type StandardSchema, validate } from "./schema.js";
import type { Backoff, PayloadOf, ResultOf, TaskName } from "./types.js";

/** A handler: its result, or an `Outcome`, becomes that of the job. */
export type Handler<P = any, R = any> = (payload: P, job: Job<P>) => R | Outcome | void | Promise<R | Outcome | void>;

/** A handler with what concerns its task. */
export interface HandlerOptions<P = any, R = any> {
  run: Handler<P, R>;
  /** A validator of payloads; a refused payload discards the job. */
  schema?: StandardSchema;
  /** How long to wait after a failed attempt, for jobs that do not say. */
  backoff?: Backoff;
  /** What a handler does that has lost contact. Default: `cancel`. */
  onLostContact?: "cancel" | "continue";
}

/** Handlers by task. */
export type Handlers<T> = {
  [K in TaskName<T>]?:
    | Handler<PayloadOf<T, K>, ResultOf<T, K>>
    | HandlerOptions<PayloadOf<T, K>, ResultOf<T, K>>;
};

/** @internal A handler as a worker has it. */
export interface Entry {
  run: Handler;
  schema: StandardSchema | undefined;
}

/** @internal Runs one attempt; answers its outcome as the native part takes it. */
export function attempt(entry: Entry | undefined, job: Job): string | Promise<string> {
  try {
    if (entry === undefined) return failed(`task "${job.task}" has no handler in this worker`);
    if (entry.schema !== undefined) return checked(entry, entry.schema, job);
    const value: unknown = entry.run(job.payload, job);
    if (isThenable(value)) return settle(value, job);
    return ended(value, job);
  } catch (error) {
    return threw(error);
  }
}

async function settle(value: PromiseLike<unknown>, job: Job): Promise<string> {
  try {
    return ended(await value, job);
  } catch (error) {
    return threw(error);
  }
}

async function checked(entry: Entry, schema: StandardSchema, job: Job): Promise<string> {
  let payload: unknown;
  try {
    payload = await validate(schema, job.payload, job.task);
  } catch (error) {
    const refused = error instanceof LavoroError && error.code === "invalid_payload";
    return refused ? JSON.stringify({ outcome: "fail", error: error.message }) : threw(error);
  }
  return settle((async () => entry.run(payload, job))(), job);
}

function ended(value: unknown, job: Job): string {
  if (value instanceof Outcome) return value.json;
  if (job.decided !== undefined) return job.decided.json;
  const result = resultToJson(value);
  return result === undefined ? "" : `{"outcome":"complete","result":${result}}`;
}

function threw(error: unknown): string {
  try {
    if (error instanceof Outcome) return error.json;
  } catch {
    // A proxy whose traps throw is no outcome of ours.
  }
  return failed(errorText(error));
}

function failed(error: string): string {
  return JSON.stringify({ outcome: "retry", error });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
