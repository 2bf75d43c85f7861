// Runs the case that is named, to see how the process ends.
import { createLavoro } from "../../dist/index.mjs";

const { LAVORO_TEST_URL: url, SCHEMA: schema } = process.env;
const timing = { heartbeat: 200, lease: 1500, scan: 200, poll: 100 };
const lavoro = createLavoro({ url, schema });
const worker = (handlers, options) => lavoro.worker({ handlers, timing, ...options });

const cases = {
  // An idle client, not closed.
  async idle() {
    await (await lavoro.enqueue("nobodys", 1)).info();
  },
  async idle_with_lock() {
    await lavoro.lock("held at the end", { lifetime: "1s" });
  },
  async closed() {
    await lavoro.connect();
    await lavoro.close();
  },
  async stopped() {
    const running = await worker({ once: () => setImmediate(() => running.stop()) });
    running.on("completed", () => {});
    await lavoro.enqueue("once");
  },
  // Nothing but the worker keeps the process alive: the parent ends it.
  async working() {
    await worker({ hang: () => new Promise(() => {}) });
    await lavoro.enqueue("hang");
    process.on("SIGTERM", () => process.exit(7));
  },
  async exit_in_handler() {
    await worker({ leave: () => process.exit(3) });
    await lavoro.enqueue("leave", null, { maxAttempts: 1 });
  },
  async unhandled() {
    await worker({
      detached: () => {
        void Promise.reject(new Error("of nobody"));
        return new Promise(() => {});
      },
    });
    await lavoro.enqueue("detached");
  },
  async throw_later() {
    await worker({ later: () => new Promise(() => setTimeout(() => { throw new Error("in a timer"); }, 1)) });
    await lavoro.enqueue("later");
  },
};
await cases[process.env.CASE]();
console.log("end of the program");
