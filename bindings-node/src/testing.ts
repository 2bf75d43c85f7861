/**
 * For the tests of applications: throw-away databases, running jobs in the test itself, looking
 * at what was enqueued. Works with node:test, vitest, jest and any other runner.
 *
 * @module
 */
import { AssertionError } from "node:assert";
import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { createLavoro, type Lavoro } from "./client.js";
import { native, type StopReason } from "./errors.js";
import { attempt, type Handlers } from "./handlers.js";
import type { JobHandle, JobOutcome } from "./handle.js";
import { type Handed, Job } from "./job.js";
import type { NativeDesk, NativeDrainer } from "./native.js";
import { answer, convert, WORKER_OPTIONS } from "./options.js";
import type { AnyTasks, ConnectOptions, EnqueueArguments, JobInfo, JobState, ResultOf, TaskName } from "./types.js";
import { register } from "./worker.js";

/** What became of the jobs that a drain ran. */
export interface Drained {
  /** How many attempts ran. */
  attempts: number;
  completed: number;
  cancelled: number;
  discarded: number;
  /** How many wait for a later time, after a failure or a snooze. */
  waiting: number;
  /** The attempts that failed, in their order. */
  failures: { job: string; task: string; attempt: number; message: string }[];
}

let server: Lavoro | undefined;

/**
 * A client with a fresh schema on a throw-away PostgreSQL, which all tests of a process share.
 * Close it after the test; the server ends with the process.
 *
 * @throws LavoroError `postgres_not_found` if no binaries are on this machine.
 */
export async function testLavoro<T = AnyTasks>(options: ConnectOptions<T> = {}): Promise<Lavoro<T>> {
  server ??= createLavoro({ url: "memory:" });
  const schema = `test_${randomBytes(8).toString("hex")}`;
  return createLavoro<T>({ url: await server.url(), schema, migrate: true, ...options }).connect();
}

/** How to drain. */
export interface DrainOptions {
  /** Runs jobs that are due by then, as if it were then. Default: now, by the server's clock. */
  at?: Date;
  /** Ends with an error after so many attempts. Default: 10 000. */
  limit?: number;
}

/**
 * Runs every job that may run, one after another in this process, until none is left; retries
 * that are due count as well.
 *
 * @throws LavoroError `invalid_state` if a job has no handler, or the limit is reached.
 */
export async function drain<T>(lavoro: Lavoro<T>, handlers: Handlers<T>, options: DrainOptions = {}): Promise<Drained> {
  return using(lavoro, handlers, async (drainer, run) => {
    if (options.at !== undefined) await native(drainer.at(options.at.toISOString()));
    if (options.limit !== undefined) await native(drainer.limit(options.limit));
    for (;;) {
      const text = await native(drainer.next());
      if (text === null) return;
      await run(text);
    }
  });
}

/**
 * Enqueues a job and runs this very job at once, one attempt, whatever else waits and whatever
 * its delay. Answers how it stands then: after a failure it may be `retrying`.
 */
export async function inline<T, K extends TaskName<T>>(
  lavoro: Lavoro<T>,
  handlers: Handlers<T>,
  task: K,
  ...args: EnqueueArguments<T, K>
): Promise<Omit<JobOutcome<ResultOf<T, K>>, "state"> & { state: JobState }> {
  const handle: JobHandle = await lavoro.enqueue(task, ...args);
  await using(lavoro, handlers, async (drainer, run) => run(await native(drainer.take(handle.id))));
  const info = await handle.info();
  return { state: info.state, result: info.result, error: info.errors.at(-1)?.message ?? null };
}

async function using<T>(
  lavoro: Lavoro<T>,
  handlers: Handlers<T>,
  work: (drainer: NativeDrainer, run: (text: string) => Promise<void>) => Promise<void>,
): Promise<Drained> {
  const { entries, more } = register(handlers as Record<string, unknown>, lavoro.schemas);
  const options = JSON.stringify({ language: "node", ...convert(WORKER_OPTIONS, more, "options") });
  const drainer = (await lavoro.engine.client()).drainer(options);
  const watched = new Map<number, Job>();
  const watcher = { watch: (job: Job) => void watched.set(job.serial, job) };
  const desk = drainer.desk;
  const hearing = hear(desk, watched);
  const run = async (text: string) => {
    for (const handed of JSON.parse(text) as Handed[]) {
      const outcome = await attempt(entries.get(handed.task), new Job(handed, desk, watcher));
      watched.delete(handed.serial);
      await native(drainer.finish(handed.serial, outcome));
    }
  };
  let drained: Drained | undefined;
  try {
    await work(drainer, run);
  } finally {
    drained = answer(JSON.parse(await native(drainer.end()))) as Drained;
    await hearing;
  }
  return drained;
}

async function hear(desk: NativeDesk, watched: Map<number, Job>): Promise<void> {
  for (;;) {
    for (const { serial, reason } of await desk.signals()) {
      if (serial === 0 && reason === "end") return;
      watched.get(serial)?.abort(reason as StopReason);
    }
  }
}

/** Which jobs a test expects. */
export interface Expected<T = AnyTasks> {
  task: TaskName<T>;
  queue?: string;
  /** Default: any in which a job waits. */
  state?: JobState;
  /** What the payload contains, as `@>` of PostgreSQL has it. */
  payload?: unknown;
  uniqueKey?: string;
  /** Exactly so many. Default: at least one. */
  count?: number;
}

const WAITING: ReadonlySet<JobState> = new Set(["scheduled", "available", "retrying"]);
/** Among how many of the newest jobs is looked. */
const JOBS = 10_000;

/** Fails the test unless such jobs are enqueued; answers them, newest first. */
export async function assertEnqueued<T>(lavoro: Lavoro<T>, expected: Expected<T>): Promise<JobInfo[]> {
  const found = await find(lavoro, expected);
  if (expected.count === undefined ? found.length > 0 : found.length === expected.count) return found;
  const wanted = expected.count ?? "at least 1";
  const others = await lavoro.jobs.list({ limit: JOBS });
  const waiting = others.filter((job) => WAITING.has(job.state));
  throw failure(`expected ${wanted} of ${JSON.stringify(expected)}, found ${found.length}; enqueued are`, waiting);
}

/** Fails the test if such a job is enqueued. */
export async function refuteEnqueued<T>(lavoro: Lavoro<T>, unexpected: Expected<T>): Promise<void> {
  const found = await find(lavoro, unexpected);
  if (found.length > 0) throw failure(`expected none of ${JSON.stringify(unexpected)}, found`, found);
}

async function find<T>(lavoro: Lavoro<T>, expected: Expected<T>): Promise<JobInfo[]> {
  const { task, queue, state, payload, uniqueKey } = expected;
  const jobs = await lavoro.jobs.list({ task, queue, state, limit: JOBS });
  return jobs.filter(
    (job) =>
      (state !== undefined || WAITING.has(job.state)) &&
      (payload === undefined || contains(job.payload, payload)) &&
      (uniqueKey === undefined || job.uniqueKey === uniqueKey),
  );
}

function failure(message: string, jobs: JobInfo[]): AssertionError {
  const lines = jobs.slice(0, 20).map((job) => {
    const payload = JSON.stringify(job.payload).slice(0, 200);
    return `\n  ${job.id}: task "${job.task}" in queue "${job.queue}", ${job.state}: ${payload}`;
  });
  const more = jobs.length > 20 ? `\n  and ${jobs.length - 20} more` : "";
  return new AssertionError({ message: `${message}${lines.length === 0 ? " none" : ":"}${lines.join("")}${more}` });
}

/** Whether a JSON value contains another. */
function contains(whole: unknown, part: unknown): boolean {
  if (Array.isArray(part)) {
    return Array.isArray(whole) && part.every((one) => whole.some((other) => contains(other, one)));
  }
  if (typeof part === "object" && part !== null) {
    if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return false;
    return Object.entries(part).every(
      ([key, one]) => Object.hasOwn(whole, key) && contains((whole as Record<string, unknown>)[key], one),
    );
  }
  return isDeepStrictEqual(whole, part);
}
