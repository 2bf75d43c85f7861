import { type ChildProcess, fork } from "node:child_process";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type ResourceLimits, Worker as Thread } from "node:worker_threads";
import { type Duration, milliseconds } from "./duration.js";
import { LavoroError } from "./errors.js";
import type { Handler } from "./handlers.js";
import { errorText } from "./json.js";
import type { Job } from "./job.js";
import { Outcome } from "./outcome.js";

/** How a handler runs beside the event loop. */
export interface IsolatedOptions {
  /** The name of the export that is the handler. Default: `default`. */
  export?: string;
  /** How long it may go on after its signal was raised, before it is killed. Default: 1 s. */
  killAfter?: Duration;
  /** How many idle ones are kept for the next jobs. Default: 4. */
  idle?: number;
}

/** For threads: limits of V8's memory too. */
export interface ThreadOptions extends IsolatedOptions {
  resourceLimits?: ResourceLimits;
}

/** For processes: their environment and Node's options too. */
export interface ProcessOptions extends IsolatedOptions {
  env?: Record<string, string>;
  execArgv?: string[];
}

/** @internal What is said to the other side. */
export type Order =
  | { say: "run"; file: string; name: string; payload: unknown; job: Record<string, unknown> }
  | { say: "abort"; reason: string }
  | { say: "answer"; call: number; value?: unknown; error?: { code: string; message: string } };

/** @internal What the other side says. */
export type Report =
  | { say: "outcome"; json: string }
  | { say: "call"; call: number; method: "checkpoint" | "saveCheckpoint"; args: unknown[] }
  | { say: "progress"; args: [number | null, string?, unknown?] }
  | { say: "log"; line: string };

interface Place {
  send(order: Order): void;
  kill(): void;
  hold(held: boolean): void;
  onReport: (report: Report) => void;
  onEnd: (how: string) => void;
}

/**
 * A handler that runs in a thread of its own: for work that would block the event loop. `file` is
 * its module (`new URL("./resize.js", import.meta.url)`); payloads and results are copied. When
 * the attempt must stop, the thread is ended, even in a loop; native code in it is not.
 */
export function inThread(file: string | URL, options: ThreadOptions = {}): Handler {
  return isolated(file, options, () => thread(options.resourceLimits));
}

/**
 * As `inThread`, in a process: killed for good with SIGKILL, and what kills it (lack of memory, a
 * crash of native code) harms nobody else.
 */
export function inProcess(file: string | URL, options: ProcessOptions = {}): Handler {
  return isolated(file, options, () => child(options));
}

function isolated(given: string | URL, options: IsolatedOptions, open: () => Place): Handler {
  const file = given instanceof URL || given.startsWith("file:") ? fileURLToPath(given) : resolve(given);
  const name = options.export ?? "default";
  const killAfter = milliseconds(options.killAfter ?? 1000, "killAfter");
  const most = options.idle ?? 4;
  const idle: Place[] = [];
  return (payload, job) =>
    new Promise((settle, reject) => {
      const place = idle.pop() ?? open();
      place.hold(true);
      let timer: NodeJS.Timeout | undefined;
      const abort = () => {
        place.send({ say: "abort", reason: job.signal.reason.reason });
        timer = setTimeout(() => place.kill(), killAfter);
      };
      const done = () => {
        clearTimeout(timer);
        job.signal.removeEventListener("abort", abort);
        place.hold(false);
      };
      place.onEnd = (how) => {
        done();
        const lost = new Outcome("retry", { error: `the handler's ${how}`, kind: "panicked" }, how);
        reject(job.signal.aborted ? job.signal.reason : lost);
      };
      place.onReport = (report) => {
        if (report.say !== "outcome") return hear(report, job, place);
        done();
        rest(place, idle, most, job.signal.aborted);
        settle(Outcome.of(report.json));
      };
      job.signal.addEventListener("abort", abort, { once: true });
      if (job.signal.aborted) abort();
      try {
        place.send({ say: "run", file, name, payload, job: plain(job) });
      } catch (error) {
        place.kill();
        reject(error);
      }
    });
}

/** Keeps a place for the next job. */
function rest(place: Place, idle: Place[], most: number, spoilt: boolean): void {
  place.onReport = () => undefined;
  place.onEnd = () => {
    const at = idle.indexOf(place);
    if (at >= 0) idle.splice(at, 1);
  };
  if (spoilt || idle.length >= most) place.kill();
  else idle.push(place);
}

/** What the other side sees of its job. */
function plain(job: Job): Record<string, unknown> {
  const { id, token, task, queue, attempt, maxAttempts, priority, suspect, createdAt, claimedAt } = job;
  const { timeoutMs, tags, metadata, traceparent, tracestate, slot } = job;
  return {
    ...{ id, token, task, queue, attempt, maxAttempts, priority, suspect, timeoutMs, tags, metadata },
    ...{ traceparent, tracestate, slot: slot && { name: slot.name, slot: slot.slot.toISOString() } },
    ...{ createdAt: createdAt.toISOString(), claimedAt: claimedAt.toISOString() },
  };
}

/** Does what the other side asks for. */
function hear(report: Exclude<Report, { say: "outcome" }>, job: Job, place: Place): void {
  try {
    if (report.say === "log") job.log(report.line);
    else if (report.say === "progress") job.progress(...report.args);
    else void answer(report, job).then((order) => place.send(order)).catch(() => undefined);
  } catch {
    // Neither may fail a handler that is far away: the limits are checked there as well.
  }
}

async function answer({ call, method, args }: Extract<Report, { say: "call" }>, job: Job): Promise<Order> {
  try {
    const value = method === "checkpoint" ? await job.checkpoint() : await job.saveCheckpoint(args[0]);
    return { say: "answer", call, value };
  } catch (error) {
    const code = error instanceof LavoroError ? error.code : "internal";
    return { say: "answer", call, error: { code, message: error instanceof Error ? error.message : errorText(error) } };
  }
}

const RUNNER = join(__dirname, "isolated-runner.js");

function thread(resourceLimits?: ResourceLimits): Place {
  const thread = new Thread(RUNNER, { resourceLimits });
  let why = "";
  const place: Place = {
    send: (order) => thread.postMessage(order),
    kill: () => void thread.terminate(),
    hold: (held) => (held ? thread.ref() : thread.unref()),
    onReport: () => undefined,
    onEnd: () => undefined,
  };
  thread.on("message", (report: Report) => place.onReport(report));
  thread.on("error", (error) => (why = `: ${errorText(error)}`));
  thread.on("exit", (code) => place.onEnd(`thread ended with code ${code}${why}`));
  return place;
}

function child({ env, execArgv }: ProcessOptions): Place {
  const child: ChildProcess = fork(RUNNER, [], { env: { ...process.env, ...env }, execArgv, serialization: "advanced" });
  const place: Place = {
    send: (order) => void child.send(order, () => undefined),
    kill: () => void child.kill("SIGKILL"),
    hold: (held) => {
      if (held) child.ref();
      else child.unref();
      const channel = child.channel;
      if (held) channel?.ref();
      else channel?.unref();
    },
    onReport: () => undefined,
    onEnd: () => undefined,
  };
  let over = false;
  const end = (how: string) => {
    if (!over) place.onEnd(how);
    over = true;
  };
  child.on("message", (report: Report) => place.onReport(report));
  child.on("error", (error) => end(`process cannot be started: ${error.message}`));
  child.on("exit", (code, signal) => end(`process ended with ${signal ?? `code ${code}`}`));
  return place;
}
