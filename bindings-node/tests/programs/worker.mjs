// A worker of the ledger: notes each run in a table of the test's, before and after its work.
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { createLavoro } from "../../dist/index.mjs";

const { LAVORO_TEST_URL: url, SCHEMA: schema, LEDGER: ledger } = process.env;
const timing = { heartbeat: 200, lease: 1500, scan: 200, poll: 100 };
const lavoro = createLavoro({ url, schema });
const worker = await lavoro.worker({
  timing,
  queues: { default: 20 },
  handlers: {
    work: async (n, job) => {
      appendFileSync(ledger, `begin ${n} ${job.attempt} ${process.pid}\n`);
      await pause(5 + (n % 20));
      if (n % 50 === 0 && job.attempt === 1) throw new Error("the first attempt fails");
      appendFileSync(ledger, `end ${n} ${job.attempt} ${process.pid}\n`);
      return n;
    },
  },
});
process.on("SIGTERM", async () => {
  await worker.stop({ timeout: 10_000 });
  await lavoro.close();
});
console.log("ready");
