// Everything that the engine offers beside running jobs.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { createLavoro } from "../dist/index.mjs";
import { code, database, start, until, url } from "./support.mjs";

const require = createRequire(import.meta.url);

test("every method of the engine can be reached", () => {
  const directory = new URL("../src/", import.meta.url);
  const sources = readdirSync(directory).filter((name) => name.endsWith(".ts"));
  const text = sources.map((name) => readFileSync(new URL(name, directory), "utf8")).join("\n");
  const methods = require("../dist/native.js").load().methods();
  assert.ok(methods.length > 30);
  assert.deepEqual(methods.filter((name) => !text.includes(`"${name}"`)), []);
});

test("jobs are looked at and changed, one or many", async () => {
  const { lavoro } = await database();
  const jobs = await lavoro.enqueueMany(Array.from({ length: 5 }, (_, n) => ({ task: "t", payload: { n }, queue: "q" })));
  const [first] = jobs;
  await first.edit({ payload: { n: "changed" }, priority: 5 });
  const info = await first.info();
  assert.deepEqual([info.payload, info.priority, info.state], [{ n: "changed" }, 5, "available"]);
  assert.equal(await first.state(), "available");
  assert.match((await first.why()).message, /./);
  assert.equal(await lavoro.jobs.count({ queue: "q" }), 5);
  const { jobs: page, next } = await lavoro.jobs.page({ queue: "q", limit: 2 });
  assert.deepEqual(page.map((job) => job.id), [jobs[4].id, jobs[3].id]);
  assert.equal(next, jobs[3].id);
  const all = [];
  for await (const job of lavoro.jobs.iterate({ queue: "q", limit: 2 })) all.push(job.id);
  assert.equal(new Set(all).size, 5);
  assert.deepEqual(await lavoro.jobs.edit({ queue: "q" }, { priority: 1 }), { matched: 5, changed: 5, skipped: 0 });
  assert.equal(await first.cancel(), "cancelled");
  assert.equal(await first.cancel(), "cancelled");
  assert.equal((await lavoro.jobs.cancel({ queue: "q", state: "available" })).changed, 4);
  assert.equal((await lavoro.jobs.retry({ queue: "q", state: "cancelled" })).changed, 5);
  assert.equal((await lavoro.jobs.list({ state: "available" })).length, 5);
  await first.delete();
  assert.equal((await lavoro.jobs.delete({ queue: "q", state: "available" })).changed, 4);
  await assert.rejects(first.info(), code("job_not_found"));
});

test("a unique key stands for one job", async () => {
  const { lavoro } = await database();
  const first = await lavoro.enqueue("t", 1, { uniqueKey: "k" });
  const second = await lavoro.enqueue("t", 2, { uniqueKey: "k" });
  assert.deepEqual([second.id, first.isNew, second.isNew], [first.id, true, false]);
  const many = await lavoro.enqueueMany([{ task: "t" }, { task: "t", uniqueKey: "k" }]);
  assert.deepEqual(many.map((job) => job.isNew), [true, false]);
});

test("queues are paused, renamed and cleared", async () => {
  const { lavoro } = await database();
  await lavoro.enqueueMany([{ task: "t", queue: "old" }, { task: "t", queue: "old", delay: "1h" }]);
  await lavoro.queues.pause("old");
  const [queue] = await lavoro.queues.list();
  assert.deepEqual([queue.name, queue.available, queue.scheduled], ["old", 1, 1]);
  assert.ok(queue.pausedAt instanceof Date);
  await lavoro.queues.resume("old");
  assert.equal((await lavoro.queues.rename("old", "new")).waiting, 2);
  assert.equal((await lavoro.queues.clear("new")).deleted, 2);
});

test("schedules are declared, looked at and run", async () => {
  const { lavoro } = await database();
  await lavoro.every("day", "report", { kind: "daily" }, { at: "07:30", timeZone: "Europe/Rome", options: { queue: "mail" } });
  await lavoro.schedule({ name: "often", task: "tick", every: 90_000 });
  await lavoro.schedules.add({ name: "cron", task: "tick", cron: "0 4 * * *", missed: { policy: "latest", within: "2h" } });
  await assert.rejects(lavoro.schedules.add({ name: "cron", task: "tick", cron: "0 4 * * *" }), code("schedule_exists"));
  await assert.rejects(lavoro.schedule({ name: "bad", task: "tick", cron: "99 * * * *" }), code("invalid_schedule"));
  assert.equal(await lavoro.schedules.replace({ name: "cron", task: "tick", cron: "0 5 * * *" }), false);
  assert.deepEqual((await lavoro.schedules.list()).map((schedule) => schedule.name).sort(), ["cron", "often", "report"]);
  const report = await lavoro.schedules.show("report");
  assert.deepEqual([report.queue, report.timeZone, report.payload], ["mail", "Europe/Rome", { kind: "daily" }]);
  const [next] = await lavoro.schedules.preview({ name: "p", task: "t", cron: "0 4 * * *" }, { after: new Date("2031-01-01T05:00:00Z"), count: 1 });
  assert.equal(next.toISOString(), "2031-01-02T04:00:00.000Z");
  const job = await lavoro.schedules.run("report");
  assert.equal((await job.info()).task, "report");
  await lavoro.schedules.pause("report");
  assert.ok((await lavoro.schedules.show("report")).pausedAt instanceof Date);
  await lavoro.schedules.resume("report");
  assert.ok(Array.isArray(await lavoro.schedules.slots("report", 5)));
  assert.deepEqual([await lavoro.schedules.remove("report"), await lavoro.schedules.remove("report")], [true, false]);
});

test("a schedule's job tells its slot", async () => {
  const { lavoro } = await database();
  const slots = [];
  await start(lavoro, { tick: (payload, job) => void slots.push(job.slot) });
  await lavoro.every("second", "tick");
  await until("two slots have run", () => slots.length >= 2, 60);
  assert.equal(slots[0].name, "tick");
  assert.ok(slots[1].slot > slots[0].slot);
});

test("a lock is held by one", async () => {
  const { lavoro } = await database();
  const lock = await lavoro.lock("l", { lifetime: "20s", owner: "me" });
  assert.deepEqual([lock.isHeld, lock.owner, /^\d+$/.test(lock.fence), lock.remainingMs > 1000], [true, "me", true, true]);
  assert.equal(await lavoro.tryLock("l"), null);
  await assert.rejects(lavoro.lock("l", { wait: 50 }), code("timeout"));
  const abort = new AbortController();
  const waiting = lavoro.lock("l", { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal((await lavoro.locks.list())[0].owner, "me");
  await lock.extend("30s");
  const restored = await lavoro.restoreLock(lock.serialize());
  assert.equal(restored.fence, lock.fence);
  const next = lavoro.lock("l");
  assert.equal(await lock.release(), true);
  assert.equal(await lock.release(), false);
  const second = await next;
  assert.ok(BigInt(second.fence) > BigInt(lock.fence));
  const lost = new Promise((resolve) => second.signal.addEventListener("abort", () => resolve(second.signal.reason)));
  assert.match(await lavoro.locks.forceRelease("l"), /:/);
  assert.equal((await lost).code, "lock_lost");
  assert.equal(await lavoro.locks.forceRelease("l"), null);
  {
    const disposed = await lavoro.lock("l");
    await disposed[Symbol.asyncDispose]();
    assert.equal(disposed.isHeld, false);
  }
});

test("figures, retention, workers and the doctor answer", async () => {
  const { lavoro, schema } = await database();
  const worker = await start(lavoro, { t: () => {} }, { name: "me", queues: { a: 2, "b-*": { concurrency: 3, weight: 2 } } });
  const [info] = await lavoro.workers();
  assert.deepEqual([info.id, info.name, info.language, info.queues["b-*"]], [worker.id, "me", "node", { concurrency: 3, weight: 2 }]);
  assert.equal(worker.health().healthy, true);
  assert.equal(worker.address, null);
  await lavoro.enqueue("nobodys", null, { queue: "a" });
  assert.equal((await lavoro.unhandled())[0].task, "nobodys");
  assert.equal((await lavoro.statistics({ window: "1h" }))[0].queue, "a");
  assert.match(await lavoro.metrics(), /lavoro_/);
  await lavoro.retention.set({ task: "t", completed: "1 day" });
  assert.equal((await lavoro.retention.list()).find((rule) => rule.task === "t").completedMs, 86_400_000);
  assert.equal(await lavoro.retention.remove("t"), true);
  assert.ok((await lavoro.diagnose()).length > 5);
  assert.equal(await lavoro.schema(), schema);
  assert.deepEqual(await lavoro.migrate(), []);
});

test("a client that cannot connect says why, and later calls try again", async () => {
  const lavoro = createLavoro({ url: "postgres://nobody@127.0.0.1:1/none" });
  await assert.rejects(lavoro.connect(), code("connection_failed"));
  await assert.rejects(lavoro.jobs.count(), code("connection_failed"));
  await lavoro.close();
  const missing = createLavoro({ url, schema: "not_there" });
  await assert.rejects(missing.connect(), code("schema_missing"));
  await missing.migrate();
  assert.equal(await missing.jobs.count(), 0);
  await missing.close();
  await assert.rejects(missing.jobs.count(), code("closed"));
  const unused = createLavoro({ url });
  await unused.close();
  await unused.close();
  await assert.rejects(unused.enqueue("t"), code("closed"));
  assert.throws(() => createLavoro({ urll: "x" }), code("invalid_option", /options\.urll/));
});
