// The testing kit of applications.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { retry, snooze } from "../dist/index.mjs";
import { assertEnqueued, drain, inline, refuteEnqueued } from "../dist/testing.mjs";
import { code, database } from "./support.mjs";

test("a drain runs what is due, in the test", async () => {
  const { lavoro } = await database();
  const ran = [];
  const handlers = {
    parent: async (n) => {
      ran.push(`parent ${n}`);
      await lavoro.enqueue("child", n);
    },
    child: (n) => void ran.push(`child ${n}`),
    flaky: (_, job) => {
      throw job.attempt === 1 ? retry("later", { delay: "1h" }) : new Error("for good");
    },
    later: () => snooze("1h"),
  };
  await lavoro.enqueue("parent", 1);
  await lavoro.enqueue("flaky", null, { maxAttempts: 2 });
  await lavoro.enqueue("later");
  await lavoro.enqueue("child", 2, { delay: "2h" });
  const first = await drain(lavoro, handlers);
  assert.deepEqual(ran, ["parent 1", "child 1"]);
  const { failures, ...counts } = first;
  assert.deepEqual(counts, { attempts: 4, completed: 2, cancelled: 0, discarded: 0, waiting: 2 });
  assert.deepEqual(failures.map(({ task, attempt, message }) => [task, attempt, message]), [["flaky", 1, "later"]]);
  const later = await drain(lavoro, handlers, { at: new Date(Date.now() + 3 * 3_600_000), limit: 100 }).catch((error) => error);
  assert.ok(ran.includes("child 2"), String(later));
});

test("a drain refuses jobs that nobody handles, and endless ones", async () => {
  const { lavoro } = await database();
  await lavoro.enqueue("unknown");
  await assert.rejects(drain(lavoro, { known: () => {} }), code("invalid_state", /unknown/));
  const again = { unknown: () => lavoro.enqueue("unknown") };
  await assert.rejects(drain(lavoro, again, { limit: 20 }), code("invalid_state", /20/));
});

test("one job runs inline", async () => {
  const { lavoro } = await database();
  const handlers = { half: (n, job) => (n % 2 === 1 ? job.fail("it is odd") : n / 2), bad: () => { throw new Error("no"); } };
  assert.deepEqual(await inline(lavoro, handlers, "half", 8, { delay: "1 day" }), { state: "completed", result: 4, error: null });
  assert.deepEqual(await inline(lavoro, handlers, "half", 7), { state: "discarded", result: null, error: "it is odd" });
  assert.equal((await inline(lavoro, handlers, "bad")).state, "retrying");
});

test("what is enqueued is asserted, and a failure lists it", async () => {
  const { lavoro } = await database();
  await lavoro.enqueue("welcome", { name: "Ada", more: [1, { a: 2 }] }, { queue: "mail", uniqueKey: "k" });
  const [job] = await assertEnqueued(lavoro, { task: "welcome", queue: "mail", payload: { more: [{ a: 2 }] }, uniqueKey: "k", count: 1 });
  assert.equal(job.payload.name, "Ada");
  await refuteEnqueued(lavoro, { task: "welcome", payload: { name: "Bob" } });
  await assert.rejects(assertEnqueued(lavoro, { task: "goodbye" }), (error) => {
    assert.equal(error.code, "ERR_ASSERTION");
    assert.match(error.message, /expected at least 1 of \{"task":"goodbye"\}, found 0; enqueued are:\n  \d+: task "welcome" in queue "mail", available: \{"more"/);
    return true;
  });
  await assert.rejects(refuteEnqueued(lavoro, { task: "welcome" }), /expected none/);
});

test("tests of an application share a throw-away server, and their process ends by itself", () => {
  const program = fileURLToPath(new URL("programs/kit.mjs", import.meta.url));
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const out = execFileSync(process.execPath, [program], { env, encoding: "utf8", timeout: 60_000 });
  assert.match(out, /pass 2/);
});
