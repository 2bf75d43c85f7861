// A program that dispatches, and works if it is told to; it does not stop. Run by promises.test.mjs.
import { classic, postgres } from "./support.mjs";

const { Job, Queue, defineConfig } = classic;
const { url, schema, worker } = JSON.parse(process.argv[2]);

class Work extends Job {
  handle() {}
}

const driver = postgres({ url, schema });
const queue = new Queue(
  defineConfig({ jobs: [Work], worker, connection: "main", connections: { main: { driver, queues: { default: {} } } } }),
);
Job.setDefaultQueueServiceResolver(() => queue);
await queue.start();
const handle = await Work.dispatch();
console.log(worker ? (await handle.outcome()).state : await handle.state());
