// A process of an application with one schedule, `{ kind, every, ttl, runs, overlapping }`; tells
// each run as a line of JSON, and stops when its input ends.
import { setTimeout as sleep } from "node:timers/promises";
import { classic, postgres } from "./support.mjs";

const { Job, Queue, Schedule, defineConfig } = classic;
const { url, schema, kind, ttl = "15s", runs = 0, overlapping = false, concurrency = 1 } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function run(context) {
  const began = Date.now();
  await sleep(runs);
  tell({ began, ended: Date.now(), slot: context.slot.slot });
}

class Repeated extends Job {
  options = { retries: 0, delay: 0 };
  handle(_payload, context) {
    return run(context);
  }
}

const driver = postgres({ url, schema });
const queue = new Queue(
  defineConfig({ jobs: [Repeated], worker: true, connection: "main", connections: { main: { driver, queues: { default: { concurrency } } } } }),
);
Job.setDefaultQueueServiceResolver(() => queue);
await queue.start();
const pending = kind === "call" ? Schedule.call("repeated", run) : Schedule.job(Repeated);
if (overlapping) pending.overlapping();
await pending.every("second").lockFor(ttl);
tell({ ready: true });
process.stdin.on("end", () => void queue.stop().then(() => process.exit(0))).resume();
