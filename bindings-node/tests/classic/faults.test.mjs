// The faults of Lavoro for JavaScript 0.4, by their numbers in its description: each test fails on
// what it did.
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classic, createLavoro, dist, driver, end, gate, made, memory, mostAtOnce, ownServer, postgres, queueOf, replica, server, SOON, sql, tidy, until } from "./support.mjs";

const { Job, Schedule, ScheduleRegistry, defineConfig, parseTime } = classic;

afterEach(tidy);
after(end);

class Quick extends Job {
  static seen = [];
  handle(payload) {
    Quick.seen.push(payload);
    return payload;
  }
}

test("fault 1: a job is not completed before its handler has returned, and slots and stops hold", async () => {
  const [first, second] = [gate(), gate()];
  const begun = [];
  class Slow extends Job {
    async handle({ n }) {
      begun.push(n);
      await (n === 1 ? first : second).passed;
      return n;
    }
  }
  const queue = await queueOf([Slow]);
  await queue.start();
  const one = await Slow.dispatch({ n: 1 });
  const two = await Slow.dispatch({ n: 2 });
  await until("the first job runs", () => begun.length > 0);
  assert.equal(await one.state(), "running");
  await sleep(300);
  assert.deepEqual(begun, [1], "one slot runs one job");
  first.open();
  assert.equal(await one.result(), 1);
  await until("the second job runs", () => begun.length > 1);
  let stopped = false;
  const stop = queue.stop().then(() => (stopped = true));
  await sleep(300);
  assert.equal(stopped, false, "a graceful stop waits for the handler");
  second.open();
  await stop;
  assert.ok(two.id);
});

test("fault 2: a job whose handler throws is tried again", async () => {
  let attempts = 0;
  class Flaky extends Job {
    options = { retries: 3, delay: 0, backoff: SOON };
    handle() {
      attempts += 1;
      if (attempts < 3) throw new Error("not yet");
      return attempts;
    }
  }
  const queue = await queueOf([Flaky]);
  const errors = [];
  queue.on("job:error", (error, job) => errors.push([error.message, job.name]));
  await queue.start();
  const handle = await Flaky.dispatch();
  assert.equal(await handle.result(), 3);
  assert.deepEqual(errors, [["not yet", "Flaky"], ["not yet", "Flaky"]]);
});

test("fault 3: retries and delay are passed on, and so are priority, timeout, key and result", async () => {
  let attempts = 0;
  class Doomed extends Job {
    options = { retries: 1, delay: 0, backoff: SOON };
    handle() {
      attempts += 1;
      throw new Error("never");
    }
  }
  class Endless extends Job {
    options = { retries: 0, delay: 0 };
    handle(_payload, { signal }) {
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve("stopped"), { once: true }));
    }
  }
  const queue = await queueOf([Doomed, Endless, Quick]);
  const early = await Quick.dispatch("later").delay("1 hour");
  assert.equal(await early.state(), "scheduled");
  const at = await Quick.dispatch("at").at(new Date(Date.now() + 3_600_000));
  assert.equal(await at.state(), "scheduled");
  const low = await Quick.dispatch("low").priority(1);
  const high = await Quick.dispatch("high").priority(9);
  assert.equal((await high.info()).priority, 9);
  const key = await Quick.dispatch("key").uniqueKey("k").delay("1 hour");
  assert.equal((await Quick.dispatch("key").uniqueKey("k").delay("1 hour")).id, key.id);
  const seven = await Quick.dispatch("x").maxAttempts(7).delay("1 hour");
  assert.equal((await seven.info()).maxAttempts, 7);
  const delayed = Date.now();
  const soon = await Quick.dispatch("soon").delay(700);
  const doomed = await Doomed.dispatch();
  const endless = await Endless.dispatch().timeout(200);
  Quick.seen.length = 0;
  await queue.start();
  assert.equal(await low.result(), "low");
  assert.deepEqual(Quick.seen.slice(0, 2), ["high", "low"]);
  assert.equal(await soon.result(), "soon");
  assert.ok(Date.now() - delayed >= 690, "it waited for its delay");
  assert.equal((await doomed.outcome()).state, "discarded");
  assert.equal(attempts, 2, "the first attempt and one more");
  assert.match((await endless.outcome()).error, /time/);
  assert.equal(await early.cancel(), "cancelled");
});

test("fault 4: the default connection is the one that the config names", async () => {
  const connections = {
    first: { driver: await driver(), queues: { default: {} } },
    second: { driver: await driver(), queues: { mail: {}, other: {} } },
  };
  const queue = made(defineConfig({ jobs: [Quick], connection: "second", connections }));
  assert.equal(queue.getDefaultConnection(), "second");
  assert.equal(queue.getDefaultQueue(), "mail");
  const handle = await Quick.dispatch("here");
  assert.equal((await (await queue.lavoro("second")).job(handle.id).info()).queue, "mail");
  assert.equal(await (await queue.lavoro("first")).jobs.count(), 0);
});

test("fault 5: underscores in names of queues, and classes of one name", async () => {
  for (const [queue, name] of [["my_queue", "Job_A"], ["a_", "_b"], ["50%_5F", "X"], ["plain", "J_K"]]) {
    assert.deepEqual(Job.parseName(Job.compileName(queue, name)), { queue, name });
  }
  assert.equal(Job.compileName("default", "Quick"), "default_Quick");
  const a = class a extends Job {
    static task = "send_mail";
    handle() {
      return "mail";
    }
  };
  const other = (() => {
    class a extends Job {
      static task = "send_sms";
      handle() {
        return "sms";
      }
    }
    return a;
  })();
  const queue = await queueOf([a, other], { queues: { my_queue: {} } });
  await queue.start();
  assert.equal(await (await a.dispatch().onQueue("my_queue")).result(), "mail");
  assert.equal(await (await other.dispatch().onQueue("my_queue")).result(), "sms");
  const twin = (() => class Quick extends Job { handle() {} })();
  await assert.rejects(queueOf([Quick, twin]), { code: "duplicate_handler", message: /Quick.*static task/s });
});

test("fault 6: a stop forgets the queue's schedules, and a restart may declare them again", async () => {
  const queue = await queueOf([Quick]);
  for (const round of [1, 2]) {
    await queue.start();
    await Schedule.job(Quick, round).every("hour");
    await Schedule.call("tidy up", () => undefined).every("hour");
    assert.equal(Object.keys(ScheduleRegistry.all()).length, 2);
    await queue.stop();
    assert.deepEqual(ScheduleRegistry.all(), {});
  }
});

test("fault 7: a class has a schedule for each payload", async () => {
  const queue = await queueOf([Quick]);
  await queue.start();
  await Schedule.job(Quick, { of: "a", at: 1 }).every("hour");
  await Schedule.job(Quick, { of: "b", at: 1 }).every("hour");
  await Schedule.job(Quick).every("hour");
  const twice = Schedule.job(Quick, { at: 1, of: "a" }).every("day");
  await assert.rejects(twice, /Cron instance with name 'main_default_Quick#[0-9a-f]{8}' already exists/);
  await Schedule.job(Quick, { of: "a", at: 1 }).named("once more").every("day");
  const stored = await (await queue.lavoro()).schedules.list();
  assert.equal(stored.length, 4);
  assert.ok(ScheduleRegistry.get("main_default_Quick"));
});

test("fault 8: overlapping schedules fire once for each slot, however many processes", async () => {
  const schema = "fault_8";
  const config = { schema, kind: "job", overlapping: true, runs: 1500, concurrency: 5 };
  const replicas = await Promise.all([replica(config), replica(config)]);
  const runs = () => replicas.flatMap((one) => one.runs());
  await until("five runs are over", () => runs().length >= 5);
  await Promise.all(replicas.map((one) => one.stop()));
  const slots = runs().map((run) => run.slot);
  assert.equal(new Set(slots).size, slots.length, `a slot fired twice: ${slots}`);
  assert.ok(mostAtOnce(runs()) > 1, "they do overlap");
});

test("fault 9: a run that waits or works longer than the ttl is not doubled", async () => {
  const config = { schema: "fault_9", kind: "job", ttl: "1s", runs: 2500 };
  const replicas = await Promise.all([replica(config), replica(config)]);
  const runs = () => replicas.flatMap((one) => one.runs());
  await until("three runs are over", () => runs().length >= 3);
  await Promise.all(replicas.map((one) => one.stop()));
  assert.equal(mostAtOnce(runs()), 1);
});

test("fault 9: a holder that has lost its lock does not release another's", async () => {
  const queue = await queueOf([]);
  await queue.start();
  const locks = queue.getLockProvider("main");
  const late = locks.createLock("l", 1000);
  assert.equal(await late.acquireImmediately(), true);
  const next = locks.createLock("l", "30s");
  assert.equal(await next.acquireImmediately(), false);
  assert.equal(await next.acquire({ retry: { timeout: "10s" } }), true, "the first one's ttl is over");
  assert.equal(late.isExpired(), true);
  await assert.rejects(late.release(), /not held by this owner/);
  await assert.rejects(late.extend("5s"), /not held by this owner/);
  assert.equal(await next.isLocked(), true);
  assert.ok(next.getRemainingTime() > 20_000);
  await next.release();
  assert.equal(await next.isLocked(), false);
});

test("fault 10: with an explicit lock provider a run does not hold off the next for its ttl", async () => {
  const runs = [];
  class Short extends Job {
    handle() {
      runs.push(Date.now());
    }
  }
  const lockProvider = { createLock: () => assert.fail("not asked"), restoreLock: () => assert.fail("not asked") };
  const queue = await queueOf([Short], { lockProvider });
  assert.equal(queue.getLockProvider("main"), lockProvider);
  await queue.start();
  await Schedule.job(Short).every("second").lockFor("1h");
  await until("three runs", () => runs.length >= 3, 10_000);
});

test("fault 11: calls do not overlap between processes, though they outlive the ttl", async () => {
  const config = { schema: "fault_11", kind: "call", ttl: "1s", runs: 2500 };
  const replicas = await Promise.all([replica(config), replica(config)]);
  const runs = () => replicas.flatMap((one) => one.runs());
  await until("three runs are over", () => runs().length >= 3);
  await Promise.all(replicas.map((one) => one.stop()));
  assert.equal(mostAtOnce(runs()), 1);
});

test("fault 12: a stop lets jobs end, and one that fails leaves the queue stopped", async () => {
  const hold = gate();
  let running = 0;
  class Held extends Job {
    async handle({ wait }) {
      running += 1;
      await (wait ? hold.passed : sleep(500));
      return "ended";
    }
  }
  const main = await driver();
  const queue = await queueOf([Held], { driver: main });
  const told = [];
  queue.on("job:complete", () => told.push("complete"));
  queue.on("job:error", (error) => told.push(error.message));
  await queue.start();
  const short = await Held.dispatch({ wait: false });
  await until("it runs", () => running === 1);
  await queue.stop();
  assert.deepEqual(told, ["complete"]);
  await queue.start();
  assert.equal((await (await queue.lavoro()).job(short.id).info()).state, "completed");
  const long = await Held.dispatch({ wait: true });
  await until("it runs", () => running === 2);
  await assert.rejects(queue.stop({ timeout: 200 }), { message: "Graceful shutdown timeout reached" });
  await assert.rejects(queue.enqueue(new Held(), { wait: false }), { message: "Queue driver is not started" });
  hold.open();
  await queue.start();
  assert.equal(await (await queue.lavoro()).job(long.id).result(), "ended", "it was handed back");
});

test("fault 13: errors of the database stop nothing, and errors are told", async (context) => {
  const url = await ownServer(context);
  const queue = await queueOf([Quick], { driver: postgres(url) });
  const errors = [];
  queue.on("error", (error) => errors.push(error));
  await queue.start();
  assert.equal(await (await Quick.dispatch("before")).result(), "before");
  // Ends every session of the server but this one.
  const ended = sql(url, "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'");
  assert.ok(Number(ended) >= 2);
  assert.equal(await (await Quick.dispatch("after")).result(), "after");
  await Schedule.call("failing", () => {
    throw new Error("a call that fails");
  }).every("second");
  await until("the error is told", () => errors.some((error) => error.message === "a call that fails"));
  queue.removeAllListeners("error");
  assert.equal(queue.emit("error", new Error("nobody listens")), false);
  assert.equal(await (await Quick.dispatch("still")).result(), "still");
});

test("fault 14: passwords of any kind, and URLs, TLS, schemas and pools", async () => {
  const password = "p@ss:/w?rd#%&= ü";
  const { config } = postgres({ host: "db", port: "5433", user: "us er", password, database: "d/b", ssl: true, schema: "s", poolSize: 9 });
  const url = new URL(config.url);
  assert.equal(decodeURIComponent(url.password), password);
  assert.equal(decodeURIComponent(url.username), "us er");
  assert.equal(decodeURIComponent(url.pathname), "/d/b");
  assert.equal(url.host, "db:5433");
  assert.equal(url.searchParams.get("sslmode"), "verify-full");
  assert.deepEqual([config.schema, config.poolSize], ["s", 9]);
  assert.equal(postgres("postgres://a/b").config.url, "postgres://a/b");
  assert.match(postgres({ url: "postgres://a/b?x=1", ssl: { rejectUnauthorized: false } }).config.url, /\?x=1&sslmode=require$/);
  assert.match(postgres({ host: "/run/pg", user: "u", ssl: false }).config.url, /host=%2Frun%2Fpg&sslmode=disable$/);
  assert.doesNotMatch(JSON.stringify(postgres({ password, user: "u" })), /p@ss|p%40ss/);
  const url2 = await server();
  const connections = {
    one: { driver: postgres({ url: url2, schema: "fault_14" }), queues: { default: {} } },
    same: { driver: postgres({ url: url2, schema: "fault_14" }), queues: { default: {} } },
    apart: { driver: postgres({ url: url2, schema: "fault_14_apart" }), queues: { default: {} } },
  };
  const queue = made(defineConfig({ jobs: [Quick], connection: "one", connections }));
  await Quick.dispatch("x");
  assert.equal(await (await queue.lavoro("same")).jobs.count(), 1);
  assert.equal(await (await queue.lavoro("apart")).jobs.count(), 0);
});

test("fault 14: a password of any kind logs in", async (context) => {
  const url = await ownServer(context);
  const password = "p@ss:/w?rd#%&= ü";
  sql(url, `set password_encryption = 'scram-sha-256'; create role odd login superuser password '${password}'`);
  const file = sql(url, "show hba_file");
  writeFileSync(file, `local all odd scram-sha-256\n${readFileSync(file, "utf8")}`);
  sql(url, "select pg_reload_conf()");
  const host = sql(url, "show unix_socket_directories");
  const { port, pathname } = new URL(url);
  const config = { host, port: port || 5432, user: "odd", password, database: pathname.slice(1), schema: "odd" };
  const wrong = await queueOf([Quick], { driver: postgres({ ...config, password: "p" }) });
  await assert.rejects(wrong.start(), { code: "authentication_failed" });
  const queue = await queueOf([Quick], { driver: postgres(config) });
  await queue.start();
  assert.equal(await (await Quick.dispatch("in")).result(), "in");
});

test("fault 15: many classes and queues are one worker, and jobs do not wait for a poll of 2 s", async () => {
  const classes = Array.from({ length: 8 }, (_, n) => {
    return class extends Job {
      static task = `task_${n}`;
      handle() {
        return n;
      }
    };
  });
  const queue = await queueOf(classes, { queues: { a: {}, b: {}, c: {}, d: {} } });
  await queue.start();
  assert.equal((await (await queue.lavoro()).workers()).length, 1);
  await (await classes[0].dispatch()).result();
  const began = Date.now();
  await (await classes[7].dispatch().onQueue("d")).result();
  assert.ok(Date.now() - began < 1500, `it took ${Date.now() - began} ms`);
});

test("fault 16: time zones, catching up, even hours, and times that do not exist", async () => {
  const lavoro = createLavoro({ url: await server() });
  const preview = (when, count, after) =>
    lavoro.schedules.preview({ name: "p", task: "t", ...when }, { after: new Date(after), count });
  const hours = await preview({ every: "five hours" }, 8, "2026-03-01T00:00:00Z");
  const gaps = hours.slice(1).map((slot, n) => slot - hours[n]);
  assert.deepEqual([...new Set(gaps)], [5 * 3_600_000]);
  await lavoro.close();
  const queue = await queueOf([Quick]);
  await queue.start();
  await Schedule.job(Quick).every("day").at("09:30").timeZone("Europe/Rome").missed("skip");
  const [stored] = await (await queue.lavoro()).schedules.list();
  assert.equal(stored.timeZone, "Europe/Rome");
  assert.equal(stored.missed, "skip");
  for (const time of ["99:99", "24:00", "12:60", "9:30", "0930", "", "12:3", " 12:30"]) {
    assert.throws(() => parseTime(time), /Invalid time format/);
  }
  assert.deepEqual(parseTime("23:59"), [23, 59]);
  assert.throws(() => Schedule.call("t", () => {}).every("day").at("99:99"), /Invalid time format/);
});

test("fault 16: a slot that passed while nobody ran is caught up", async () => {
  const main = await driver();
  const first = await queueOf([Quick], { driver: main });
  await first.start();
  await Schedule.job(Quick, "missed").cron("* * * * * *");
  await first.stop();
  Quick.seen.length = 0;
  await sleep(2100);
  const second = await queueOf([Quick], { driver: main });
  await second.start();
  await until("a slot has been caught up", () => Quick.seen.includes("missed"), 5_000);
});

test("fault 17: the default logger finds pino from ES modules", () => {
  const dir = mkdtempSync(join(tmpdir(), "lavoro-pino-"));
  try {
    mkdirSync(join(dir, "node_modules", "pino"), { recursive: true });
    writeFileSync(join(dir, "node_modules", "pino", "package.json"), '{"name":"pino","main":"index.js"}');
    const fake = "module.exports = (o) => ({ info: (m) => console.log(`${o.name} ${o.level}: ${m}`) });";
    writeFileSync(join(dir, "node_modules", "pino", "index.js"), fake);
    const app = `import lavoro from ${JSON.stringify(`${dist}/classic/index.js`)}; lavoro.createDefaultLogger("queue").info("heard");`;
    writeFileSync(join(dir, "app.mjs"), app);
    const out = execFileSync(process.execPath, ["app.mjs"], { cwd: dir, encoding: "utf8" });
    assert.equal(out.trim(), "queue info: heard");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("fault 18: a dispatch that is not awaited is made, one that is awaited twice is made once", async () => {
  const queue = await queueOf([Quick], { worker: false });
  const lavoro = await queue.lavoro();
  void Quick.dispatch("not awaited").priority(3);
  await until("it is there", async () => (await lavoro.jobs.count()) === 1);
  const pending = Quick.dispatch("awaited");
  const [one, two] = [await pending, await pending];
  assert.equal(one.id, two.id);
  assert.equal(await lavoro.jobs.count(), 2);
  assert.throws(() => pending.priority(1), /has begun/);
  const caught = await Quick.dispatch("x").onConnection("nowhere").catch((error) => error.message);
  assert.equal(caught, "No driver found for connection: nowhere.");
  let last = false;
  await Quick.dispatch("x").finally(() => (last = true));
  assert.equal(last, true);
});

test("fault 18: a dispatch that is not awaited and fails is an unhandled rejection", () => {
  const app = `const { Job } = require(${JSON.stringify(`${dist}/classic/index.js`)}); class A extends Job { handle() {} } void A.dispatch();`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", app], { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(stderr, /Queue service resolver is not set/);
});

test("fault 18: payloads hold nothing of Lavoro's", async () => {
  const payloads = [];
  class Look extends Job {
    handle(payload) {
      payloads.push(payload);
    }
  }
  const queue = await queueOf([Look]);
  await queue.start();
  await Schedule.job(Look, { a: 1 }).every("second").lockFor("1h");
  await until("it ran", () => payloads.length > 0);
  assert.deepEqual(payloads[0], { a: 1 });
});

test("fault 18: a producer needs neither the class in its config nor a started queue", async () => {
  class Elsewhere extends Job {
    static task = "resize_image";
    handle() {
      throw new Error("not here");
    }
  }
  const queue = await queueOf([], { worker: false });
  const handle = await Elsewhere.dispatch({ path: "a.png" });
  const info = await handle.info();
  assert.deepEqual([info.task, info.state, info.maxAttempts], ["resize_image", "available", 4]);
  await queue.stop();
  await assert.rejects(Elsewhere.dispatch({}), { message: "Queue driver is not started" });
});

test("fault 18: memory() without a worker takes jobs", async () => {
  const config = { jobs: [Quick], worker: false, connection: "m", connections: { m: { driver: memory(), queues: { default: {} } } } };
  const queue = made(defineConfig(config));
  await queue.start();
  const handle = await Quick.dispatch("x");
  assert.equal(await handle.state(), "available");
});
