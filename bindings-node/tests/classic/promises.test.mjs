// What the tests of Lavoro for JavaScript 0.4 promised its users.
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { classic, driver, end, fromPg, gate, made, memory, mostAtOnce, postgres, queueOf, server, tidy, until } from "./support.mjs";

const { Job, Queue, Schedule, ScheduleRegistry, defineConfig } = classic;

afterEach(tidy);
after(end);

class Echo extends Job {
  handle(payload, context) {
    return { payload, queue: this.queue, connection: this.connection, id: this.id, same: context.id === this.id };
  }
}

const pair = async (make) => ({
  main: { driver: await make(), queues: { default: { concurrency: 1 }, mail: { concurrency: 2 } } },
  background: { driver: await make(), queues: { default: {}, reports: { concurrency: 1 } } },
});

for (const [kind, make] of [["postgres", driver], ["memory", memory]]) {
  test(`${kind}: jobs run on each connection and queue, named or not`, async () => {
    const connections = await pair(make);
    const queue = made(defineConfig({ jobs: [Echo], worker: true, connection: "main", connections }));
    await queue.start();
    const result = async (pending) => {
      const { id } = await pending;
      const ran = await (await pending).result();
      assert.deepEqual([ran.id, ran.same], [id, true]);
      return [ran.connection, ran.queue];
    };
    assert.deepEqual(await result(Echo.dispatch(1)), ["main", "default"]);
    assert.deepEqual(await result(Echo.dispatch(1).onQueue("mail")), ["main", "mail"]);
    assert.deepEqual(await result(Echo.dispatch(1).onConnection("background")), ["background", "default"]);
    assert.deepEqual(await result(Echo.dispatch(1).onConnection("background").onQueue("reports")), ["background", "reports"]);
    await assert.rejects(Echo.dispatch(1).onQueue("reports"), { message: "Queue 'reports' is not registered." });
    await assert.rejects(Echo.dispatch(1).onConnection("none"), { message: "No driver found for connection: none." });
  });
}

test("a queue with concurrency 0, and a process that is no worker, run nothing", async () => {
  const ran = [];
  class Note extends Job {
    handle(payload) {
      ran.push(payload);
    }
  }
  const shared = await driver();
  const config = { driver: shared, queues: { on: { concurrency: 1 }, off: { concurrency: 0 } } };
  const producer = await queueOf([Note], { ...config, worker: false });
  await producer.start();
  const idle = await Note.dispatch("off").onQueue("off");
  const early = await Note.dispatch("on").onQueue("on");
  await sleep(500);
  assert.deepEqual(ran, []);
  assert.equal(await early.state(), "available");
  const worker = await queueOf([Note], config);
  await worker.start();
  await until("it ran", () => ran.length > 0);
  await sleep(300);
  assert.deepEqual(ran, ["on"]);
  assert.equal(await idle.state(), "available");
});

test("memory: a graceful stop waits, one that is not takes less than a second, a timeout rejects", async () => {
  for (const [options, message] of [[{}, null], [{ graceful: false }, null], [{ graceful: true, timeout: 300 }, "Graceful shutdown timeout reached"]]) {
    const hold = gate();
    const begun = gate();
    let aborted = false;
    class Long extends Job {
      async handle(_payload, { signal }) {
        signal.addEventListener("abort", () => (aborted = true));
        begun.open();
        await hold.passed;
      }
    }
    const queue = await queueOf([Long], { driver: memory() });
    await queue.start();
    await Long.dispatch();
    await begun.passed;
    const began = Date.now();
    if (options.graceful === undefined) setTimeout(hold.open, 800);
    const stop = queue.stop(options);
    await assert.rejects(queue.enqueue(new Long(), undefined), {
      message: "Queue driver is shutting down and cannot accept new jobs",
    });
    if (message) await assert.rejects(stop, { message });
    else await stop;
    const took = Date.now() - began;
    if (options.graceful === undefined) assert.ok(took >= 780 && !aborted, `${took} ms`);
    else assert.ok(took < 1300 && aborted, `${took} ms, ${aborted}`);
    if (options.graceful === false) assert.ok(took < 1000, `${took} ms`);
    await assert.rejects(queue.enqueue(new Long(), undefined), { message: "Queue driver is not started" });
    hold.open();
  }
});

test("what is missing is said in the same words", async () => {
  await assert.rejects(Echo.dispatch(1), /^Error: Queue service resolver is not set/);
  assert.throws(() => new Echo().fullyQualifiedName, { message: "Queue is not set." });
  const queue = await queueOf([Echo]);
  const none = { message: "No lock provider found for connection: main." };
  assert.throws(() => queue.getLockProvider("main"), none);
  await queue.start();
  assert.ok(queue.getLockProvider("main"));
  assert.ok(Schedule.getLockProvider());
  assert.throws(() => queue.getLockProvider("none"), { message: "No lock provider found for connection: none." });
  await queue.stop();
  assert.throws(() => queue.getLockProvider("main"), none);
  await assert.rejects(Schedule.call("no pattern", () => {}), /^Error: No schedule pattern defined/);
  assert.throws(() => Schedule.call("t", () => {}).on("monday"), /\.on\(\) can only be used for weekly intervals/);
  assert.throws(() => Schedule.call("t", () => {}).every("hour").at("10:00"), /\.at\(\) can only be used for daily/);
});

test("events come in order with their arguments, and progress ends with the attempt", async () => {
  class Works extends Job {
    options = { retries: 0, delay: 0 };
    async handle({ fails }) {
      await sleep(2300);
      if (fails) throw new TypeError("no");
    }
  }
  const queue = await queueOf([Works], { queues: { default: { concurrency: 2 } } });
  const told = new Map();
  for (const name of ["job:start", "job:progress", "job:complete", "job:error", "job:finish"]) {
    queue.on(name, (...args) => {
      const error = name === "job:error" ? args.shift() : undefined;
      const [job, payload, elapsed] = args;
      assert.ok(job instanceof Works);
      const list = told.get(job.id) ?? told.set(job.id, []).get(job.id);
      list.push([name, payload.fails, error?.message ?? (elapsed === undefined ? undefined : Math.round(elapsed / 1000))]);
    });
  }
  queue.on("job:start", () => {
    throw new Error("a listener that throws");
  });
  const errors = [];
  queue.on("error", (error) => errors.push(error.message));
  await queue.start();
  const [good, bad] = [await Works.dispatch({ fails: false }), await Works.dispatch({ fails: true })];
  await good.result();
  assert.match((await bad.outcome()).error, /TypeError: no/);
  await sleep(1200);
  const progress = (fails) => [["job:progress", fails, 1], ["job:progress", fails, 2]];
  assert.deepEqual(told.get(good.id), [
    ["job:start", false, undefined], ...progress(false), ["job:complete", false, undefined], ["job:finish", false, undefined],
  ]);
  assert.deepEqual(told.get(bad.id), [
    ["job:start", true, undefined], ...progress(true), ["job:error", true, "no"], ["job:finish", true, undefined],
  ]);
  assert.deepEqual(errors, ["a listener that throws", "a listener that throws"]);
});

test("snoozes, retries and failures that a handler decides are events of their own kind", async () => {
  const seen = [];
  class Decides extends Job {
    options = { retries: 3, delay: 0 };
    handle(kind, context) {
      seen.push([kind, context.attempt]);
      if (kind === "snooze" && seen.length < 2) return context.snooze(50);
      if (kind === "fail") throw context.fail(new Error("for good"));
      return "done";
    }
  }
  const queue = await queueOf([Decides]);
  const told = [];
  for (const name of ["job:complete", "job:error"]) queue.on(name, () => told.push(name));
  await queue.start();
  assert.equal(await (await Decides.dispatch("snooze")).result(), "done");
  assert.deepEqual(told, ["job:complete"]);
  assert.equal((await (await Decides.dispatch("fail")).outcome()).state, "discarded");
  assert.deepEqual(told, ["job:complete", "job:error"]);
});

test("a job of 8 s that is scheduled every second runs once at a time, whatever lockFor says", async () => {
  const runs = [];
  class Eight extends Job {
    async handle() {
      const run = { began: Date.now() };
      runs.push(run);
      await sleep(8000);
      run.ended = Date.now();
    }
  }
  const queue = await queueOf([Eight], { queues: { default: { concurrency: 5 } } });
  await queue.start();
  await Schedule.job(Eight).every("second").lockFor("3s");
  await until("the first run is over", () => runs[0]?.ended);
  await until("a second one runs", () => runs.length > 1, 5_000);
  assert.equal(mostAtOnce(runs), 1);
});

test("in 8 seconds calls of 2 s run 2 to 4 times, or 6 to 10 times if they may overlap", async () => {
  const queue = await queueOf([]);
  await queue.start();
  const count = { alone: 0, beside: 0 };
  const run = (name) => async () => {
    count[name] += 1;
    await sleep(2000);
  };
  await Promise.all([
    Schedule.call("alone", run("alone")).every("second"),
    Schedule.call("beside", run("beside")).every("second").overlapping(),
  ]);
  await sleep(8000);
  assert.ok(count.alone >= 2 && count.alone <= 4, `alone: ${count.alone}`);
  assert.ok(count.beside >= 6 && count.beside <= 10, `beside: ${count.beside}`);
});

test("schedules that are cleared, or made before a queue starts", async () => {
  let calls = 0;
  const pending = Schedule.call("early", () => void (calls += 1)).every("second");
  await pending;
  assert.deepEqual(Object.keys(ScheduleRegistry.all()), ["early"]);
  await assert.rejects(async () => Schedule.call("early", () => {}).every("hour"), {
    message: "Cron instance with name 'early' already exists",
  });
  const queue = await queueOf([], { driver: memory() });
  await queue.start();
  await until("it was called", () => calls > 0);
  Schedule.clear("early");
  assert.equal(ScheduleRegistry.get("early"), undefined);
  const lavoro = await queue.lavoro();
  await until("it is gone", async () => (await lavoro.schedules.list()).length === 0);
  const before = calls;
  await sleep(1500);
  assert.equal(calls, before);
});

test("a schedule stays in a PostgreSQL when a process clears it, until it is removed", async () => {
  const queue = await queueOf([Echo]);
  await queue.start();
  await Schedule.job(Echo, 1).every("hour");
  const [name] = Object.keys(ScheduleRegistry.all());
  const lavoro = await queue.lavoro();
  assert.equal(await Schedule.remove(name), true);
  assert.equal(await Schedule.remove(name), false);
  assert.deepEqual(await lavoro.schedules.list(), []);
  await Schedule.job(Echo, 1).every("hour");
  Schedule.clear();
  assert.deepEqual(ScheduleRegistry.all(), {});
  assert.equal((await lavoro.schedules.list()).length, 1);
});

test("a call that a process has cleared waits for another process", async () => {
  const main = await driver();
  const queue = await queueOf([], { driver: main });
  await queue.start();
  const calls = { first: 0, second: 0 };
  await Schedule.call("moves", () => void (calls.first += 1)).every("second");
  await until("it was called", () => calls.first > 0);
  Schedule.clear("moves");
  const before = calls.first;
  const lavoro = await queue.lavoro();
  await until("a call waits", async () => (await lavoro.jobs.count({ task: "schedule:moves", state: "scheduled" })) === 1);
  assert.equal(calls.first, before);
  await queue.stop();
  const other = await queueOf([], { driver: main });
  await other.start();
  await Schedule.call("moves", () => void (calls.second += 1)).every("second");
  await until("the other one is called", () => calls.second > 0);
  assert.equal(calls.first, before);
});

test("a process that is no worker fires schedules, and handles its own calls", async () => {
  const queue = await queueOf([Echo], { worker: false });
  await queue.start();
  let calls = 0;
  await Schedule.job(Echo, "scheduled").every("second");
  const lavoro = await queue.lavoro();
  await until("its job is there", async () => (await lavoro.jobs.count({ task: "Echo", state: "available" })) === 1);
  await Schedule.call("here", () => void (calls += 1)).every("second");
  await until("it was called", () => calls > 0);
  assert.equal(await lavoro.jobs.count({ task: "Echo", state: "completed" }), 0);
});

test("a provider of the user's own guards calls", async () => {
  const log = [];
  const lock = {
    acquireImmediately: async () => (log.push("acquire"), log.length < 2),
    extend: async () => void log.push("extend"),
    release: async () => void log.push("release"),
  };
  Schedule.setLockProviderResolver(() => ({ createLock: (key, ttl) => (log.push([key, ttl]), lock), restoreLock: () => lock }));
  try {
    const queue = await queueOf([]);
    await queue.start();
    let calls = 0;
    await Schedule.call("guarded", () => void (calls += 1)).every("second").lockFor("7s");
    await until("it was refused", () => log.length >= 4);
    assert.deepEqual(log[0], [classic.getDistributedLockKey("guarded"), "7s"]);
    assert.equal(calls, 0, "the lock was never granted");
  } finally {
    Schedule.setLockProviderResolver(undefined);
  }
});

test("a config that lacks something is refused", () => {
  const good = { jobs: [], connection: "a", connections: { a: { driver: memory(), queues: { q: {} } } } };
  assert.equal(defineConfig(good), good);
  const cases = [
    [{ ...good, connection: undefined }, 'Missing "connection" property in queue config file'],
    [{ ...good, connections: undefined }, 'Missing "connections" property in queue config file'],
    [{ ...good, connection: "b" }, 'Missing "connections.b". It is referenced by the "connection" property'],
    [{ ...good, connection: "toString" }, 'Missing "connections.toString". It is referenced by the "connection" property'],
    [{ ...good, connections: { a: { driver: memory(), queues: {} } } }, 'Connection "a" must have at least one queue defined'],
    [{ ...good, connections: { a: { queues: { q: {} } } } }, 'Connection "a" needs a driver: postgres() or memory()'],
    [{ ...good, connections: { a: { driver: memory(), queues: { q: { concurrency: -1 } } } } }, 'Queue "q" of "a" has the concurrency -1: it takes 0 to 10000'],
  ];
  for (const [config, message] of cases) {
    assert.throws(() => defineConfig(config), { message });
    assert.throws(() => new Queue(config), { message });
  }
});

test("a start that fails leaves the queue stopped", async () => {
  const queue = await queueOf([Echo], { driver: postgres("postgres://127.0.0.1:1/none") });
  await assert.rejects(queue.start(), { code: "connection_failed" });
  await assert.rejects(Echo.dispatch(1), { message: "Queue driver is not started" });
});

test("a producer's process ends by itself, a worker's goes on", async () => {
  const run = async (worker) => {
    const config = JSON.stringify({ url: await server(), schema: `classic_exit_${worker}`, worker });
    const script = fileURLToPath(new URL("exit.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, config], { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (text) => (out += text));
    const exited = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
    await until("it has told", () => out !== "" || child.exitCode !== null);
    const code = await Promise.race([exited, sleep(worker ? 1500 : 10_000, "runs")]);
    child.kill("SIGKILL");
    return [out.trim(), code];
  };
  assert.deepEqual(await run(false), ["available", 0]);
  assert.deepEqual(await run(true), ["completed", "runs"]);
});

test("a job is enqueued in the caller's own transaction", async (context) => {
  const { default: pg } = await import("pg");
  const queue = await queueOf([Echo], { worker: false });
  const lavoro = await queue.lavoro();
  const client = new pg.Client({ connectionString: await lavoro.url() });
  await client.connect();
  context.after(() => client.end());
  for (const [end, count] of [["rollback", 0], ["commit", 1]]) {
    await client.query("begin");
    const handle = await Echo.dispatch(end).priority(4).using(fromPg(client));
    assert.equal(await lavoro.jobs.count(), 0, "nobody sees it yet");
    await client.query(end);
    assert.equal(await lavoro.jobs.count(), count);
    if (count === 1) assert.equal((await handle.info()).priority, 4);
  }
});
