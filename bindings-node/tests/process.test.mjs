// How processes end: by themselves, by their handlers, by force. No job is lost.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker as Thread } from "node:worker_threads";
import { database, QUICK, spawned, start, until } from "./support.mjs";

const program = (name) => fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url));

const run = (name, env) => spawned([program(name)], env);

async function ends(name, schema) {
  const { child, ended } = run("exits", { CASE: name, SCHEMA: schema });
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const end = await ended;
  clearTimeout(timer);
  return end;
}

test("idle and closed clients do not keep the process alive", async () => {
  const { schema } = await database();
  for (const name of ["idle", "idle_with_lock", "closed", "stopped"]) {
    const { code, signal, err } = await ends(name, schema);
    assert.deepEqual([name, code, signal, err], [name, 0, null, ""]);
  }
});

test("a worker keeps the process alive", async () => {
  const { lavoro, schema } = await database();
  const { child, ended } = run("exits", { CASE: "working", SCHEMA: schema });
  await until("the job runs", async () => (await lavoro.jobs.count({ state: "running" })) === 1);
  assert.equal(child.exitCode, null);
  child.kill("SIGTERM");
  assert.equal((await ended).code, 7);
});

test("a handler that ends its process loses no job, and is counted", async () => {
  const { lavoro, schema } = await database();
  const cases = [
    ["exit_in_handler", "leave", 3, ""],
    ["unhandled", "detached", 1, /of nobody/],
    ["throw_later", "later", 1, /in a timer/],
  ];
  for (const [name, , wanted, text] of cases) {
    const { code, signal, err } = await ends(name, schema);
    assert.deepEqual([name, code, signal], [name, wanted, null], err);
    if (text) assert.match(err, text);
  }
  // The poison runs alone from now on, and is discarded with its last attempt.
  await start(lavoro, { detached: () => "rescued", later: () => "rescued", leave: () => "rescued" }, { timing: QUICK });
  for (const [, task] of cases) {
    const [job] = await lavoro.jobs.list({ task });
    assert.equal(await lavoro.job(job.id).result({ timeout: "30s" }), "rescued");
  }
});

test("an event loop that is blocked for five leases loses nothing", async () => {
  const { lavoro } = await database();
  const block = (millis) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);
  const seen = [];
  const handlers = { block: (n) => (block(n === 0 ? 7500 : 0), seen.push(n), n) };
  await start(lavoro, handlers, { timing: QUICK });
  // One that would take the jobs if a lease were lost.
  const other = new Thread(
    `const { createLavoro } = require(${JSON.stringify(fileURLToPath(new URL("../dist/index.js", import.meta.url)))});
     const { workerData: { url, schema, timing } } = require("node:worker_threads");
     createLavoro({ url, schema }).worker({ timing, queues: { other: 1 }, handlers: { block: () => "stolen" } });`,
    { eval: true, workerData: { url: process.env.LAVORO_TEST_URL, schema: await lavoro.schema(), timing: QUICK } },
  );
  after(() => other.terminate());
  await until("the other has come", async () => (await lavoro.workers()).length === 2);
  const jobs = await lavoro.enqueueMany(Array.from({ length: 10 }, (_, n) => ({ task: "block", payload: n })));
  for (const [n, job] of jobs.entries()) assert.equal(await job.result({ timeout: "30s" }), n);
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const job of jobs) {
    const { attempt, errors } = await job.info();
    assert.deepEqual([attempt, errors], [1, []]);
  }
});

test("under kill -9 and stops every job ends once in effect, and none is lost", async () => {
  const { lavoro, schema } = await database();
  const directory = mkdtempSync(join(tmpdir(), "lavoro-ledger-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  const ledger = join(directory, "ledger");
  const env = { SCHEMA: schema, LEDGER: ledger };
  const count = 3000;
  const workers = [];
  const hire = async () => {
    const worker = run("worker", env);
    await until("a worker is ready", () => worker.out().includes("ready"));
    workers.push(worker);
  };
  await Promise.all([hire(), hire(), hire()]);
  const payloads = Array.from({ length: count }, (_, n) => ({ task: "work", payload: n, backoff: { kind: "fixed", base: 50 } }));
  const jobs = await lavoro.enqueueMany(payloads);
  let [kills, stops, round] = [0, 0, 0];
  const done = () => lavoro.jobs.count({ state: "completed" });
  for (const share of [0.1, 0.25, 0.4, 0.55, 0.7, 0.85]) {
    await until(`${share} are completed`, async () => (await done()) >= count * share, 120);
    const victim = workers.shift();
    if (round++ % 3 === 2) {
      victim.child.kill("SIGTERM");
      assert.equal((await victim.ended).code, 0);
      stops += 1;
    } else {
      victim.child.kill("SIGKILL");
      kills += 1;
    }
    await hire();
  }
  await until("all are completed", async () => (await done()) === count, 120);
  for (const worker of workers) worker.child.kill("SIGTERM");
  for (const worker of workers) assert.equal((await worker.ended).code, 0);
  const lines = readFileSync(ledger, "utf8").trim().split("\n").map((line) => line.split(" "));
  const ended = new Set(lines.filter(([what]) => what === "end").map(([, n]) => Number(n)));
  const lost = jobs.filter((_, n) => !ended.has(n)).length;
  const again = lines.filter(([what]) => what === "end").length - ended.size;
  console.log(`ledger: ${count} jobs, ${kills} kills, ${stops} stops: lost ${lost}, ran to the end again ${again}`);
  assert.equal(lost, 0);
  // Only what a killed worker held may have run twice.
  assert.ok(again <= kills * 20, `${again} ran again`);
});

test("memory stays flat", async () => {
  const { lavoro } = await database();
  await start(lavoro, { small: (payload) => payload }, { queues: { default: 200 } });
  const round = async (jobs) => {
    const done = await lavoro.jobs.count({ state: "completed" });
    for (let i = 0; i < jobs; i += 2000) {
      await lavoro.enqueueMany(Array.from({ length: 2000 }, (_, n) => ({ task: "small", payload: { n, text: "x".repeat(100) } })));
    }
    await until("the round is done", async () => (await lavoro.jobs.count({ state: "completed" })) === done + jobs, 120);
    globalThis.gc?.();
    return process.memoryUsage().rss / 1048576;
  };
  await round(6000);
  const before = await round(6000);
  const later = await round(20_000);
  console.log(`memory: ${before.toFixed(0)} MiB after 12,000 jobs, ${later.toFixed(0)} MiB after 32,000`);
  assert.ok(later - before < 40, `grew from ${before} to ${later} MiB`);
});
