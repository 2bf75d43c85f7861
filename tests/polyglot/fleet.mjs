// Node.js in the fleet: see fleet.py.
import { createLavoro } from "../../bindings-node/dist/index.mjs";

const lavoro = createLavoro();
const [role, ...tasks] = process.argv.slice(2);
if (role === "worker") {
  const worker = await lavoro.worker({ handlers: { echo_node: (payload) => payload } });
  process.once("SIGTERM", async () => {
    await worker.stop();
    await lavoro.close();
  });
} else {
  for (const task of tasks) console.log((await lavoro.enqueue(task, JSON.parse(process.env.PAYLOAD))).id);
  await lavoro.close();
}
