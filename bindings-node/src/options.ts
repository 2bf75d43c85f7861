import { milliseconds } from "./duration.js";
import { invalidOption } from "./errors.js";

/** Writes one option, under its name in JSON. */
export type Field = (value: unknown, path: string, into: Record<string, unknown>) => void;
export type Fields = ReadonlyMap<string, Field>;

/** Declares options: a name in JavaScript, and how it is written. */
export function fields(table: Record<string, Field>): Fields {
  return new Map(Object.entries(table));
}

/** As it is. */
export const as =
  (key: string): Field =>
  (value, path, into) => {
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw invalidOption(`${path} is ${value}: it takes a finite number`);
    }
    if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") {
      throw invalidOption(`${path} is a ${typeof value}`);
    }
    into[key] = value;
  };

/** Milliseconds, or words. */
export const span =
  (key: string): Field =>
  (value, path, into) => {
    into[key] = milliseconds(value, path);
  };

/** A `Date`, or a string as of RFC 3339. */
export const instant =
  (key: string): Field =>
  (value, path, into) => {
    into[key] = value instanceof Date ? dateText(value, path) : value;
  };

/** An object with options of its own. */
export const nested =
  (key: string, inner: Fields): Field =>
  (value, path, into) => {
    into[key] = convert(inner, value, path);
  };

/** An object with a value for each of the user's names. */
export const byName =
  (key: string, inner: (value: unknown, path: string) => unknown): Field =>
  (value, path, into) => {
    const entries = Object.entries(asObject(value, path));
    into[key] = Object.fromEntries(entries.map(([name, one]) => [name, inner(one, `${path}.${name}`)]));
  };

function dateText(date: Date, path: string): string {
  if (Number.isNaN(date.getTime())) throw invalidOption(`${path} is an invalid Date`);
  return date.toISOString();
}

function asObject(value: unknown, path: string): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(`${path} takes an object`);
  }
  return value;
}

/**
 * Options as the engine takes them. What is `undefined` or `null` counts as left out.
 *
 * @throws LavoroError `invalid_option` naming an option that is unknown or cannot be used.
 */
export function convert(known: Fields, given: unknown, what: string): Record<string, unknown> {
  const into: Record<string, unknown> = {};
  if (given === undefined || given === null) return into;
  for (const [name, value] of Object.entries(asObject(given, what))) {
    const field = known.get(name);
    if (field === undefined) {
      throw invalidOption(`${what}.${name} is unknown: there are ${[...known.keys()].join(", ")}`);
    }
    if (value !== undefined && value !== null) field(value, `${what}.${name}`, into);
  }
  return into;
}

const backoff = fields({ kind: as("kind"), base: span("base_ms"), max: span("max_ms"), jitter: as("jitter") });

export const JOB_OPTIONS = fields({
  queue: as("queue"),
  priority: as("priority"),
  delay: span("delay_ms"),
  runAt: instant("run_at"),
  expiresIn: span("expires_in_ms"),
  expiresAt: instant("expires_at"),
  onDiscarded: as("on_discarded"),
  maxAttempts: as("max_attempts"),
  timeout: span("timeout_ms"),
  backoff: nested("backoff", backoff),
  uniqueKey: as("unique_key"),
  tags: as("tags"),
  metadata: as("metadata"),
  traceparent: as("traceparent"),
  tracestate: as("tracestate"),
});

const timing = fields({
  heartbeat: span("heartbeat_ms"),
  lease: span("lease_ms"),
  scan: span("scan_ms"),
  poll: span("poll_ms"),
  prune: span("prune_ms"),
  tally: span("tally_ms"),
});

export const CONNECT_OPTIONS = fields({
  url: as("url"),
  schema: as("schema"),
  poolSize: as("pool_size"),
  transactionPooler: as("transaction_pooler"),
  maintenance: as("maintenance"),
  migrate: as("migrate"),
  warnUnhandled: as("warn_unhandled"),
  enqueueTimeout: span("enqueue_timeout_ms"),
  statementTimeout: span("statement_timeout_ms"),
  timing: nested("timing", timing),
});

export const WORKER_OPTIONS = fields({
  name: as("name"),
  queues: byName("queues", (value) => value),
  concurrency: as("concurrency"),
  tasks: as("tasks"),
  continueOnLostContact: as("continue_on_lost_contact"),
  backoff: byName("backoff", (value, path) => convert(backoff, value, path)),
  grace: span("grace_ms"),
  timing: nested("timing", timing),
  maintenance: as("maintenance"),
  listen: as("listen"),
  stuckAfter: span("stuck_after_ms"),
});

const missed: Field = (value, path, into) => {
  const bounds = fields({ policy: as("policy"), within: span("within_ms"), limit: as("limit") });
  into["missed"] = typeof value === "string" ? value : convert(bounds, value, path);
};

const every: Field = (value, path, into) => {
  // Words of the engine ("two hours", "sunday") stay words.
  if (typeof value === "number") into["every_ms"] = milliseconds(value, path);
  else into["every"] = value;
};

export const SCHEDULE_OPTIONS = fields({
  name: as("name"),
  task: as("task"),
  payload: (value, _path, into) => void (into["payload"] = value),
  options: nested("options", JOB_OPTIONS),
  cron: as("cron"),
  every,
  at: as("at"),
  on: as("on"),
  hour: as("hour"),
  minute: as("minute"),
  dayOfMonth: as("day_of_month"),
  timeZone: as("time_zone"),
  start: instant("start"),
  end: instant("end"),
  jitter: span("jitter_ms"),
  missed,
  overlap: as("overlap"),
  onLost: as("on_lost"),
});

export const FILTER = fields({
  state: as("state"),
  task: as("task"),
  queue: as("queue"),
  tag: as("tag"),
  createdAfter: instant("created_after"),
  createdBefore: instant("created_before"),
  errorContains: as("error_contains"),
  before: as("before"),
  limit: as("limit"),
});

export const EDIT = fields({
  payload: (value, _path, into) => void (into["payload"] = value),
  queue: as("queue"),
  priority: as("priority"),
  delay: span("delay_ms"),
  runAt: instant("run_at"),
});

export const RETENTION = fields({
  task: as("task"),
  completed: span("completed_ms"),
  cancelled: span("cancelled_ms"),
  discarded: span("discarded_ms"),
});

/** Members that hold the user's own data, or are named by the user. */
const OPAQUE: ReadonlySet<string> = new Set(["payload", "result", "metadata", "data", "queues"]);

/** An answer of the engine with names as JavaScript has them; instants are `Date`s. */
export function answer(value: unknown, key = ""): unknown {
  if (typeof value === "string") return INSTANT.test(value) && /_at$|^slot$|^start$|^end$|_slot$/.test(key) ? new Date(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => answer(one, key));
  const shown: Record<string, unknown> = {};
  for (const [name, one] of Object.entries(value)) {
    shown[camel(name)] = OPAQUE.has(name) ? one : answer(one, name);
  }
  return shown;
}

const INSTANT = /^\d{4,}-\d\d-\d\dT/;

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
