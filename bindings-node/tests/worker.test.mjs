// Jobs run end to end: enqueued, pulled, handled, reported.
import assert from "node:assert/strict";
import { test } from "node:test";
import { code, database, deferred, start, until } from "./support.mjs";
import { cancel, fail, retry, snooze } from "../dist/index.mjs";

test("a job's result comes back", async () => {
  const { lavoro } = await database();
  await start(lavoro, { add: async ([a, b]) => a + b, nothing: () => {} });
  const job = await lavoro.enqueue("add", [1, 2], { queue: "default", tags: ["sum"], metadata: { by: "test" } });
  assert.match(job.id, /^\d+$/);
  assert.equal(job.isNew, true);
  assert.equal(await job.result({ timeout: "20s" }), 3);
  const info = await job.info();
  assert.equal(info.state, "completed");
  assert.deepEqual([info.payload, info.tags, info.metadata], [[1, 2], ["sum"], { by: "test" }]);
  assert.ok(info.finishedAt instanceof Date);
  assert.equal(await (await lavoro.enqueue("nothing")).result(), null);
});

test("many jobs are enqueued at once and all run", async () => {
  const { lavoro } = await database();
  const seen = new Set();
  await start(lavoro, { note: (n) => void seen.add(n) }, { queues: { default: 50 } });
  const jobs = await lavoro.enqueueMany(Array.from({ length: 1000 }, (_, n) => ({ task: "note", payload: n })));
  assert.equal(new Set(jobs.map((job) => job.id)).size, 1000);
  await until("all are completed", async () => (await lavoro.jobs.count({ state: "completed" })) === 1000);
  assert.equal(seen.size, 1000);
});

test("a handler sees its attempt", async () => {
  const { lavoro } = await database();
  const seen = deferred();
  await start(lavoro, { look: (payload, job) => seen.resolve(job) });
  const handle = await lavoro.enqueue("look", { a: 1 }, { priority: 3, maxAttempts: 4, timeout: "1 minute", tags: ["t"] });
  const job = await seen.promise;
  assert.deepEqual(
    [job.id, job.task, job.queue, job.attempt, job.maxAttempts, job.priority, job.timeoutMs, job.tags, job.payload],
    [handle.id, "look", "default", 1, 4, 3, 60_000, ["t"], { a: 1 }],
  );
  assert.ok(job.createdAt instanceof Date && job.claimedAt >= job.createdAt);
  assert.equal(job.slot, null);
});

test("what a handler decides becomes of its job", async () => {
  const { lavoro } = await database();
  const again = (attempts, decide) => (payload, job) => (job.attempt <= attempts ? decide(job) : "done");
  const snoozed = new Set();
  await start(lavoro, {
    retried: again(1, (job) => job.retry("not yet", { delay: 10 })),
    retried_by_throw: again(1, () => {
      throw retry(new Error("not yet"), { delay: 10 });
    }),
    snoozed: (payload, job) => {
      if (snoozed.has(job.id)) return job.attempt;
      snoozed.add(job.id);
      return snooze(10);
    },
    forgotten_return: (payload, job) => {
      job.fail("said so");
    },
    cancelled: () => cancel("not wanted"),
    failed: () => {
      throw fail("never");
    },
    erring: (payload, job) => {
      job.snooze(60_000);
      throw new Error("after all");
    },
  });
  const result = async (task) => (await lavoro.enqueue(task, null, { maxAttempts: 3 })).outcome();
  assert.equal((await result("retried")).result, "done");
  assert.equal((await result("retried_by_throw")).result, "done");
  assert.equal((await result("snoozed")).result, 1);
  assert.deepEqual(await result("forgotten_return"), { state: "discarded", result: null, error: "said so" });
  assert.deepEqual(await result("cancelled"), { state: "cancelled", result: null, error: "not wanted" });
  assert.equal((await result("failed")).state, "discarded");
  const erring = await lavoro.enqueue("erring", null, { maxAttempts: 1 });
  await assert.rejects(erring.result(), (error) => {
    assert.deepEqual([error.name, error.code, error.state], ["JobEndedError", "invalid_state", "discarded"]);
    assert.match(error.reason, /after all/);
    return true;
  });
});

test("progress, log lines and checkpoints outlive the attempt", async () => {
  const { lavoro } = await database();
  await start(lavoro, {
    long: async (payload, job) => {
      job.log(`attempt ${job.attempt}\nof many`);
      job.progress(40, "nearly half", { step: 2 });
      if (job.attempt === 1) {
        assert.equal(await job.checkpoint(), undefined);
        await job.saveCheckpoint({ at: 7 });
        throw retry("once more", { delay: 10 });
      }
      return job.checkpoint();
    },
  });
  const job = await lavoro.enqueue("long");
  assert.deepEqual(await job.result(), { at: 7 });
  const { progress, errors } = await job.info();
  assert.deepEqual([progress.percent, progress.message, progress.data], [40, "nearly half", { step: 2 }]);
  assert.deepEqual(errors.map((error) => error.message), ["once more"]);
  await until("the lines are written", async () => (await job.logs()).length === 4);
  assert.deepEqual((await job.logs()).map((line) => line.line), ["attempt 1", "of many", "attempt 2", "of many"]);
});

test("a cancel raises the handler's signal", async () => {
  const { lavoro } = await database();
  const running = deferred();
  const reasons = [];
  await start(lavoro, {
    wait: (payload, { signal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => {
          reasons.push([signal.reason.name, signal.reason.reason]);
          reject(signal.reason);
        });
        running.resolve();
      }),
  });
  const job = await lavoro.enqueue("wait");
  await running.promise;
  assert.equal(await job.cancel(), "running");
  assert.equal((await job.outcome()).state, "cancelled");
  assert.deepEqual(reasons, [["AbortError", "cancelled"]]);
});

test("a timeout raises the signal and fails the attempt", async () => {
  const { lavoro } = await database();
  const reason = deferred();
  await start(lavoro, {
    slow: (payload, { signal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(reason.resolve(signal.reason.reason)))),
  });
  const job = await lavoro.enqueue("slow", null, { timeout: 100, maxAttempts: 1 });
  assert.equal((await job.outcome()).state, "discarded");
  assert.equal(await reason.promise, "timeout");
  assert.equal((await job.info()).errors[0].kind, "timeout");
});

test("a graceful stop waits, another one hands back uncounted", async () => {
  const { lavoro } = await database();
  const [first, second, go] = [deferred(), deferred(), deferred()];
  const worker = await start(lavoro, { work: () => (first.resolve(), go.promise) });
  const job = await lavoro.enqueue("work");
  await first.promise;
  const stopping = worker.stop({ timeout: "20s" });
  go.resolve("in time");
  assert.equal(await stopping, true);
  assert.equal(await job.result(), "in time");
  assert.equal(await worker.stop(), true);

  const hasty = await start(lavoro, { hang: () => (second.resolve(), new Promise(() => {})) }, { grace: 0 });
  const hung = await lavoro.enqueue("hang");
  await second.promise;
  const began = Date.now();
  assert.equal(await hasty.stop({ graceful: false }), false);
  assert.ok(Date.now() - began < 5000);
  const { state, attempt } = await hung.info();
  assert.deepEqual([state, attempt], ["available", 0]);
});

test("events tell what happened, and listeners that throw harm nobody", async () => {
  const { lavoro } = await database();
  const worker = await start(lavoro, {
    ok: () => 1,
    bad: () => {
      throw new Error("no");
    },
  });
  const [events, errors] = [[], []];
  for (const name of ["started", "completed", "failed", "retried", "discarded"]) {
    worker.on(name, (event) => {
      events.push(`${event.event} ${event.job.task}`);
      if (name === "completed") throw new Error("of a listener");
    });
  }
  worker.on("error", (error) => errors.push(error.message));
  await (await lavoro.enqueue("ok")).result();
  await (await lavoro.enqueue("bad", null, { maxAttempts: 2, backoff: { kind: "fixed", base: 10 } })).outcome();
  await until("the last event", () => events.includes("discarded bad"));
  assert.deepEqual(events, [
    "started ok",
    "completed ok",
    "started bad",
    "failed bad",
    "retried bad",
    "started bad",
    "failed bad",
    "discarded bad",
  ]);
  assert.deepEqual(errors, ["of a listener"]);
});

test("options that are wrong are refused by name", async () => {
  const { lavoro } = await database();
  const refused = [
    [() => lavoro.enqueue("t", null, { prio: 1 }), /options\.prio is unknown/],
    [() => lavoro.enqueue("t", null, { delay: "soon" }), /options\.delay is "soon"/],
    [() => lavoro.enqueue("t", null, { priority: Number.NaN }), /options\.priority is NaN/],
    [() => lavoro.enqueue("t", null, { backoff: { kind: "odd" } }), /backoff\.kind/],
    [() => lavoro.enqueueMany([{ task: "t" }, { task: "t", prio: 1 }]), /jobs\[1\]\.prio/],
    [() => lavoro.worker({ handlers: {} }), /at least one handler/],
    [() => lavoro.worker({}), /options\.handlers/],
    [() => lavoro.worker({ handlers: { t: 1 } }), /options\.handlers\.t/],
    [() => lavoro.worker({ handlers: { t() {} }, queues: { a: -1 } }), /queues/],
    [() => lavoro.worker({ handlers: { t() {} }, typo: 1 }), /options\.typo/],
  ];
  for (const [call, text] of refused) await assert.rejects(async () => call(), code("invalid_option", text));
  await assert.rejects(lavoro.enqueue("", null), code("invalid_task"));
  await assert.rejects(lavoro.enqueue("t", null, { queue: "" }), code("invalid_queue"));
  await assert.rejects(lavoro.enqueue("t", null, { runAt: "tomorrow" }), code("invalid_time", /run_at/));
  await assert.rejects(lavoro.job("123456").info(), code("job_not_found"));
  await assert.rejects(lavoro.job("x").info(), code("invalid_option"));
});
