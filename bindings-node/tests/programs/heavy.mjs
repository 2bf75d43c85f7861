// Handlers that run in threads and processes.
import { retry } from "../../dist/index.mjs";

export default function double(payload, job) {
  job.progress(50, "half");
  job.log(`of ${job.task}`);
  return { doubled: payload * 2, attempt: job.attempt, thread: process.pid };
}

export function spin() {
  for (;;);
}

export async function listen(payload, { signal }) {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  throw signal.reason;
}

export function crash(payload, job) {
  if (job.attempt === 1) process.kill(process.pid, "SIGKILL");
  return "survived";
}

export function leave(payload, job) {
  if (job.attempt === 1) process.exit(5);
  return "survived";
}

export async function steps(payload, job) {
  const at = (await job.checkpoint()) ?? 0;
  if (at < 2) {
    await job.saveCheckpoint(at + 1);
    throw retry("go on", { delay: 10 });
  }
  return at;
}

export function fails() {
  throw new RangeError("of the thread");
}

export const cyclic = () => {
  const value = {};
  value.self = value;
  return value;
};
