// Values that are awkward, as payloads, as results, and when they are thrown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { code, database, start } from "./support.mjs";

const cyclic = {};
cyclic.self = cyclic;

test("payloads arrive as JSON has them", async () => {
  const { lavoro } = await database();
  await start(lavoro, { echo: (payload) => ({ type: typeof payload, payload }) }, { queues: { default: 50 } });
  const date = new Date("2031-05-06T07:08:09.123Z");
  const same = [null, true, "", "text", 0, 1.5, -7, 2 ** 53 - 1, 0.1 + 0.2, 5e-324, [], {}, [[[]]], "\u0001\u2028é🦀", { "": { " ": 1 } }];
  const changed = [
    [undefined, null],
    [-0, 0],
    [date, "2031-05-06T07:08:09.123Z"],
    [{ a: undefined, b: 1, f() {}, [Symbol("s")]: 2 }, { b: 1 }],
    [[undefined, () => 1], [null, null]],
    [Object.create({ inherited: 1 }), {}],
    [new Map([[1, 2]]), {}],
    [new Uint8Array([1, 2]), { 0: 1, 1: 2 }],
  ];
  for (const [sent, received] of [...same.map((value) => [value, value]), ...changed]) {
    const { payload } = await (await lavoro.enqueue("echo", sent)).result();
    assert.deepEqual(payload, received);
  }
});

test("keys that mean something to JavaScript are only keys", async () => {
  const { lavoro } = await database();
  const hostile = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1,"then":2,"toJSON":3}');
  await start(lavoro, {
    // Task names from the prototype are no handlers, and may be names of handlers.
    toString: (payload) => payload,
    constructor: (payload, job) => ({ keys: Object.keys(payload), tags: job.tags, metadata: job.metadata }),
    __proto__: null,
  });
  const entries = (value) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  assert.deepEqual(entries(await (await lavoro.enqueue("toString", hostile)).result()), entries(hostile));
  const job = await lavoro.enqueue("constructor", hostile, { metadata: hostile, tags: ["__proto__"] });
  const seen = await job.result();
  assert.deepEqual(seen.keys.sort(), Object.keys(hostile).sort());
  assert.equal({}.polluted, undefined);
  const info = await job.info();
  assert.deepEqual(Object.keys(info.metadata).sort(), Object.keys(hostile).sort());
  await assert.rejects(lavoro.enqueue("t", null, JSON.parse('{"__proto__":1}')), code("invalid_option"));
  await assert.rejects(lavoro.enqueue("t", null, { toString: 1 }), code("invalid_option"));
});

test("what cannot be sent is refused before it is sent", async () => {
  const { lavoro } = await database();
  const deep = (levels) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  const refused = [
    [cyclic, "invalid_payload"],
    [10n, "invalid_payload"],
    [{ a: [1n] }, "invalid_payload"],
    [() => 1, "invalid_payload"],
    [Symbol("s"), "invalid_payload"],
    [{ toJSON() { throw new Error("no"); } }, "invalid_payload"],
    [Number.NaN, "number_out_of_range"],
    [{ a: { b: [1, Number.POSITIVE_INFINITY] } }, "number_out_of_range"],
    [2 ** 60, "number_out_of_range"],
    ["a\u0000b", "invalid_payload"],
    ["\ud800", "invalid_payload"],
    [{ "\udfff": 1 }, "invalid_payload"],
    ["x".repeat(1024 * 1024), "payload_too_large"],
    [deep(200), "payload_too_deep"],
  ];
  for (const [payload, wanted] of refused) {
    await assert.rejects(lavoro.enqueue("t", payload), code(wanted));
    await assert.rejects(lavoro.enqueueMany([{ task: "t" }, { task: "t", payload }]), code(wanted, /1/));
  }
  assert.equal(await lavoro.jobs.count(), 0);
  await assert.rejects(lavoro.enqueue("\ud800", 1), code("invalid_task"));
  await assert.rejects(lavoro.enqueue(7, 1), code("invalid_task"));
  await assert.rejects(lavoro.enqueueMany([{ task: "\ud800" }]), code("invalid_option"));
  await assert.rejects(lavoro.enqueue("t", 1, { queue: "\ud800" }), code("invalid_option"));
  await assert.rejects(lavoro.tryLock("\ud800"), code("invalid_option"));
});

test("a result never fails a job that has done its work", async () => {
  const { lavoro } = await database();
  const results = { undefined: undefined, null: null, zero: -0, nan: Number.NaN, date: new Date(0), text: "a\u0000b\ud800\\ud800", big: 2 ** 60, none: () => 1 };
  await start(lavoro, {
    value: (name) => results[name],
    cyclic: () => cyclic,
    bigint: async () => 10n,
    huge: () => "x".repeat(5_000_000),
    thenable: () => ({ then: (resolve) => resolve(7) }),
  });
  const result = async (task, payload) => (await lavoro.enqueue(task, payload)).result();
  assert.equal(await result("value", "undefined"), null);
  assert.equal(await result("value", "null"), null);
  assert.equal(await result("value", "zero"), 0);
  assert.equal(await result("value", "nan"), null);
  assert.equal(await result("value", "date"), "1970-01-01T00:00:00.000Z");
  assert.equal(await result("value", "text"), "a\ufffdb\ufffd\\ud800");
  assert.equal(await result("value", "big"), String(2 ** 60));
  assert.match((await result("value", "none")).lavoro_note, /function/);
  assert.match((await result("cyclic")).lavoro_note, /circular/);
  assert.match((await result("bigint")).lavoro_note, /BigInt/i);
  assert.match((await result("huge")).lavoro_note, /not stored/);
  assert.equal(await result("thenable"), 7);
});

test("anything that is thrown fails the attempt and says so", async () => {
  const { lavoro } = await database();
  const evil = new Proxy({}, { get() { throw new Error("trap"); }, getPrototypeOf() { throw new Error("trap"); } });
  const thrown = {
    undefined: [undefined, /undefined was thrown/],
    null: [null, /null was thrown/],
    text: ["out of paper", /^out of paper$/],
    number: [42, /42 was thrown/],
    symbol: [Symbol("s"), /Symbol\(s\) was thrown/],
    bigint: [1n, /1 was thrown/],
    object: [{ a: 1 }, /\{"a":1\}/],
    like: [{ message: "like an error" }, /^like an error$/],
    cyclic: [cyclic, /cannot be shown/],
    proxy: [evil, /cannot be shown/],
    error: [new TypeError("bad type"), /TypeError: bad type[\s\S]*values\.test/],
    cause: [new Error("outer", { cause: new Error("inner") }), /outer[\s\S]*caused by: Error: inner/],
    nameless: [Object.assign(new Error("m"), { stack: undefined }), /m/],
    nul: [new Error("a\u0000b"), /a.b/],
  };
  await start(lavoro, {
    later: async (name) => {
      throw thrown[name][0];
    },
    now: (name) => {
      throw thrown[name][0];
    },
    reject: (name) => Promise.reject(thrown[name][0]),
  }, { queues: { default: 50 } });
  for (const [name, [, text]] of Object.entries(thrown)) {
    for (const task of ["now", "later", "reject"]) {
      const { state, error } = await (await lavoro.enqueue(task, name, { maxAttempts: 1 })).outcome();
      assert.equal(state, "discarded");
      assert.match(error, text, `${task} ${name}`);
    }
  }
});

test("durations are milliseconds or words", async () => {
  const { createRequire } = await import("node:module");
  const { milliseconds } = createRequire(import.meta.url)("../dist/duration.js");
  for (const [given, wanted] of [[0, 0], [1.4, 1], ["5 minutes", 300_000], ["1h 30m", 5_400_000], ["90s", 90_000], ["1.5 h", 5_400_000], ["250ms", 250], ["2 Weeks", 1_209_600_000]]) {
    assert.equal(milliseconds(given, "x"), wanted);
  }
  for (const given of ["", " ", "soon", "5", "5 parsecs", "-1s", "1h and", Number.NaN, null, {}, 5n]) {
    assert.throws(() => milliseconds(given, "delay"), code("invalid_option", /delay/));
  }
});
