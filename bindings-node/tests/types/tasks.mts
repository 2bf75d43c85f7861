// What must compile, and what must not: each @ts-expect-error is an error if the line is none.
import { createLavoro, type JobHandle } from "../../dist/index.mjs";

interface Tasks {
  send_email: { payload: { to: string }; result: number };
  resize: (payload: { path: string; width?: number }) => Promise<string>;
  clean: { payload: undefined };
}

declare const never: boolean;

if (never) {
  const lavoro = createLavoro<Tasks>({ url: "memory:" });
  const mail: JobHandle<number> = await lavoro.enqueue("send_email", { to: "ada" }, { delay: "5 minutes" });
  const sent: number = await mail.result({ timeout: 5000 });
  const path: string = await (await lavoro.enqueue("resize", { path: "a.png" })).result();
  await lavoro.enqueue("clean");
  await lavoro.enqueue("clean", undefined, { priority: 1 });
  await lavoro.enqueueMany([{ task: "clean" }, { task: "send_email", payload: { to: "ada" }, priority: 2 }]);
  await lavoro.every("hour", "clean");

  // @ts-expect-error there is no such task
  await lavoro.enqueue("send_mail", { to: "ada" });
  // @ts-expect-error the payload lacks a member
  await lavoro.enqueue("send_email", {});
  // @ts-expect-error the payload is missing
  await lavoro.enqueue("send_email");
  // @ts-expect-error there is no such option
  await lavoro.enqueue("clean", undefined, { prio: 1 });
  // @ts-expect-error the result is a number
  const wrong: string = await mail.result();
  // @ts-expect-error the payload is that of another task
  await lavoro.enqueueMany([{ task: "send_email", payload: { path: "a.png" } }]);

  await using worker = await lavoro.worker({
    queues: { default: 10, "mail-*": { concurrency: 2, weight: 3 } },
    handlers: {
      send_email: async (payload, job) => {
        const to: string = payload.to;
        const signal: AbortSignal = job.signal;
        return to.length;
      },
      resize: { run: ({ path }) => path, backoff: { kind: "fixed", base: "10s" } },
      clean: (_, job) => job.snooze("1h"),
    },
  });
  worker.on("failed", (event) => event.failure?.message.toUpperCase());
  // @ts-expect-error there is no such event
  worker.on("exploded", () => {});
  await lavoro.worker({
    handlers: {
      // @ts-expect-error the result is a number
      send_email: async () => "sent",
    },
  });
  await lavoro.worker({
    handlers: {
      // @ts-expect-error there is no such task
      send_mail: async () => 1,
    },
  });

  const anything = createLavoro();
  const value: string = await (await anything.enqueue("whatever", { a: [1] })).result();
  await using lock = await anything.lock("name", { lifetime: "1m", wait: 0 });
}
