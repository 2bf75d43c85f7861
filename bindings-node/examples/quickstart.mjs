// What README shows. Needs a migrated database, or none: then it starts one in `.lavoro/`.

// README begin
import { createLavoro } from "lavoro";

const lavoro = createLavoro();

const worker = await lavoro.worker({
  queues: { mail: 10 },
  handlers: { greet: async (name) => `Hello, ${name}!` },
});

const job = await lavoro.enqueue("greet", "Ada", { queue: "mail", maxAttempts: 5 });
console.log(await job.result({ timeout: "10 seconds" }));

await worker.stop();
await lavoro.close();
// README end
