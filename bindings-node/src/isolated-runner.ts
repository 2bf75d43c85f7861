// The other side of isolated.ts: runs in the thread or the process, one job at a time.
import { pathToFileURL } from "node:url";
import { parentPort } from "node:worker_threads";
import { JobAbortError, LavoroError, type StopReason } from "./errors.js";
import { attempt, type Handler } from "./handlers.js";
import type { Order, Report } from "./isolated.js";
import { errorText } from "./json.js";
import type { Job } from "./job.js";
import * as outcomes from "./outcome.js";

const port = parentPort;
const say = (report: Report): void => {
  if (port !== null) port.postMessage(report);
  else process.send?.(report);
};

let abort = new AbortController();
let calls = 0;
const waiting = new Map<number, { resolve: (value: any) => void; reject: (error: unknown) => void }>();

function hear(order: Order): void {
  if (order.say === "abort") abort.abort(new JobAbortError(order.reason as StopReason));
  else if (order.say === "run") void run(order);
  else {
    const call = waiting.get(order.call);
    waiting.delete(order.call);
    if (order.error !== undefined) call?.reject(new LavoroError(order.error.code, order.error.message));
    else call?.resolve(order.value);
  }
}

async function run({ file, name, payload, job }: Extract<Order, { say: "run" }>): Promise<void> {
  abort = new AbortController();
  let json: string;
  try {
    const module = (await import(pathToFileURL(file).href)) as Record<string, any>;
    // A CommonJS module's exports are members of its default.
    const handler = (module[name] ?? module["default"]?.[name]) as Handler | undefined;
    if (typeof handler !== "function") throw new TypeError(`${file} does not export a function "${name}"`);
    json = await attempt({ run: handler, schema: undefined }, around(payload, job));
  } catch (error) {
    json = JSON.stringify({ outcome: "retry", error: errorText(error) });
  }
  say({ say: "outcome", json });
}

function ask(method: "checkpoint" | "saveCheckpoint", ...args: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    waiting.set(++calls, { resolve, reject });
    say({ say: "call", call: calls, method, args });
  });
}

/** The job as its handler sees it here. */
function around(payload: unknown, job: Record<string, any>): Job {
  const { createdAt, claimedAt, slot, ...rest } = job;
  const shown = {
    ...rest,
    payload,
    createdAt: new Date(createdAt),
    claimedAt: new Date(claimedAt),
    slot: slot && { name: slot.name, slot: new Date(slot.slot) },
    signal: abort.signal,
    decided: undefined as outcomes.Outcome | undefined,
    progress: (...args: [number | null, string?, unknown?]) => say({ say: "progress", args }),
    log: (line: string) => say({ say: "log", line: String(line) }),
    checkpoint: () => ask("checkpoint"),
    saveCheckpoint: (value: unknown) => ask("saveCheckpoint", value),
    completeIn: () => Promise.reject(new LavoroError("invalid_state", "completeIn is not possible in a thread or process")),
    snooze: (delay: number) => (shown.decided = outcomes.snooze(delay)),
    retry: (error: unknown, options?: object) => (shown.decided = outcomes.retry(error, options)),
    cancel: (reason?: string) => (shown.decided = outcomes.cancel(reason)),
    fail: (error: unknown) => (shown.decided = outcomes.fail(error)),
  };
  return shown as unknown as Job;
}

if (port !== null) port.on("message", hear);
else {
  process.on("message", hear);
  // The worker has gone: nobody wants the result.
  process.on("disconnect", () => process.exit(1));
}
