// What the binding costs for each job: the CPU of the JavaScript thread and of the thread that
// its calls run on, while jobs that do nothing are drained. Linux only.
//
//   npm run native:release && npm run compile && node bench/overhead.mjs [JOBS] [URL]
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { createLavoro } from "../dist/index.mjs";

const jobs = Number(process.argv[2] ?? 100_000);
const lavoro = createLavoro({ url: process.argv[3] ?? "memory:", migrate: true });
await lavoro.connect();

/** Milliseconds of CPU of the threads that the binding runs on, and of all. */
function cpu() {
  let [binding, all] = [0, 0];
  for (const task of readdirSync("/proc/self/task")) {
    const stat = readFileSync(`/proc/self/task/${task}/stat`, "utf8");
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const millis = (Number(fields[11]) + Number(fields[12])) * 10;
    all += millis;
    if (Number(task) === process.pid || name === "lavoro-js") binding += millis;
  }
  return { binding, all };
}

async function drain() {
  let done = 0;
  const all = Array.from({ length: jobs }, (_, n) => ({ task: "noop", payload: { n } }));
  for (let i = 0; i < jobs; i += 10_000) await lavoro.enqueueMany(all.slice(i, i + 10_000));
  const [before, began] = [cpu(), performance.now()];
  const worker = await lavoro.worker({ queues: { default: 1000 }, handlers: { noop: () => void done++ } });
  while (done < jobs) await pause(5);
  const took = (performance.now() - began) / 1000;
  const after = cpu();
  await worker.stop();
  const each = (key) => (((after[key] - before[key]) * 1000) / jobs).toFixed(1);
  console.log(`${jobs} jobs: ${Math.round(jobs / took)}/s; CPU per job: binding ${each("binding")} µs, whole process ${each("all")} µs`);
}

for (let round = 0; round < 3; round++) await drain();
console.log(`memory: ${(process.memoryUsage().rss / 1048576).toFixed(0)} MiB`);
await lavoro.close();
