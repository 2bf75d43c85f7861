// Handlers in threads and processes: the same answers, and a kill that is real.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inProcess, inThread } from "../dist/index.mjs";
import { database, start, until } from "./support.mjs";

const file = new URL("programs/heavy.mjs", import.meta.url);
const fast = { backoff: { kind: "fixed", base: 10 } };

for (const [kind, isolate] of Object.entries({ inThread, inProcess })) {
  test(`${kind}: a handler answers, speaks and goes on from its checkpoint`, async () => {
    const { lavoro } = await database();
    const handlers = { double: isolate(file) };
    for (const name of ["steps", "fails", "cyclic"]) handlers[name] = isolate(file, { export: name });
    handlers.missing = isolate(file, { export: "missing" });
    handlers.nowhere = isolate("nowhere.mjs");
    await start(lavoro, handlers);
    const job = await lavoro.enqueue("double", 21);
    const { doubled, attempt, thread } = await job.result();
    assert.deepEqual([doubled, attempt, thread === process.pid], [42, 1, kind === "inThread"]);
    await until("its progress is written", async () => (await job.info()).progress?.message === "half");
    await until("its line is written", async () => (await job.logs())[0]?.line === "of double");
    assert.equal(await (await lavoro.enqueue("steps", null, fast)).result(), 2);
    const error = async (task) => (await (await lavoro.enqueue(task, null, { maxAttempts: 1 })).outcome()).error;
    assert.match(await error("fails"), /RangeError: of the thread[\s\S]*heavy\.mjs/);
    assert.match(await error("missing"), /does not export a function "missing"/);
    assert.match(await error("nowhere"), /nowhere\.mjs/);
    assert.match((await (await lavoro.enqueue("cyclic")).result()).lavoro_note, /circular/);
  });

  test(`${kind}: a loop without end is killed on its timeout, and the slot is free`, async () => {
    const { lavoro } = await database();
    const handlers = { double: isolate(file), spin: isolate(file, { export: "spin", killAfter: 50 }), listen: isolate(file, { export: "listen" }) };
    await start(lavoro, handlers, { queues: { default: 1 } });
    const spun = await lavoro.enqueue("spin", null, { timeout: 300, maxAttempts: 1 });
    const next = await lavoro.enqueue("double", 1);
    assert.equal((await spun.outcome()).state, "discarded");
    assert.equal((await spun.info()).errors[0].kind, "timeout");
    assert.equal((await next.result()).doubled, 2);
    const heard = await lavoro.enqueue("listen");
    await until("it runs", async () => (await heard.state()) === "running");
    await heard.cancel();
    assert.equal((await heard.outcome()).state, "cancelled");
  });

  test(`${kind}: what ends by itself fails one attempt and nothing else`, async () => {
    const { lavoro } = await database();
    const name = kind === "inThread" ? "leave" : "crash";
    await start(lavoro, { [name]: isolate(file, { export: name }) });
    const job = await lavoro.enqueue(name, null, fast);
    assert.equal(await job.result(), "survived");
    const [error] = (await job.info()).errors;
    assert.deepEqual([error.kind, error.counted], ["panicked", true]);
    assert.match(error.message, kind === "inThread" ? /thread ended with code 5/ : /process ended with SIGKILL/);
  });
}
