// Locks with a ttl, on Lavoro's own.
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { classic, end, queueOf, tidy, until } from "./support.mjs";

afterEach(tidy);
after(end);

async function locks() {
  const queue = await queueOf([]);
  await queue.start();
  return queue.getLockProvider("main");
}

test("a lock is taken, extended, looked at and released", async () => {
  const provider = await locks();
  const lock = provider.createLock("a", "10s");
  assert.equal(await lock.isLocked(), false);
  assert.equal(lock.getRemainingTime(), 0);
  assert.throws(() => lock.serialize(), /not held/);
  assert.equal(await lock.acquire(), true);
  assert.equal(await lock.acquire(), true, "it is ours already");
  assert.ok(lock.getRemainingTime() > 9000 && lock.getRemainingTime() <= 10_000);
  await lock.extend("60s");
  assert.ok(lock.getRemainingTime() > 59_000);
  assert.equal(lock.isExpired(), false);
  const other = provider.createLock("a");
  assert.equal(await other.acquireImmediately(), false);
  assert.equal(await other.acquire({ retry: { timeout: 200 } }), false);
  assert.equal(await other.isLocked(), true);
  await lock.release();
  await assert.rejects(lock.release(), /not held by this owner/);
  assert.equal(await other.acquireImmediately(), true);
  await other.forceRelease();
  assert.equal(await other.isLocked(), false);
});

test("without a ttl it is held until it is released", async () => {
  const provider = await locks();
  const lock = provider.createLock("b", null);
  assert.equal(await lock.acquireImmediately(), true);
  assert.equal(lock.getRemainingTime(), null);
  await lock.extend();
  await sleep(1200);
  assert.equal(lock.isExpired(), false);
  await lock.release();
});

test("its ttl is over when nobody extends it, though its process lives", async () => {
  const provider = await locks();
  const lock = provider.createLock("c", 1000);
  await lock.acquireImmediately();
  await until("it is free", async () => !(await lock.isLocked()), 5_000);
  assert.equal(lock.isExpired(), true);
  assert.equal(lock.getRemainingTime(), 0);
});

test("one that was handed over goes on under its new holder", async () => {
  const provider = await locks();
  const here = provider.createLock("d", 1000);
  await here.acquireImmediately();
  const text = here.serialize();
  const there = provider.restoreLock(text);
  assert.equal(await there.acquireImmediately(), true);
  await there.extend("30s");
  await sleep(1500);
  assert.equal(await there.isLocked(), true, "the ttl of the first holder does not end it");
  await there.release();
  assert.equal(await there.isLocked(), false);
  const late = provider.restoreLock(text);
  await assert.rejects(late.release(), /not held by this owner/);
  assert.equal(await late.acquireImmediately(), true, "a lock that is free is taken anew");
  await late.release();
  assert.throws(() => provider.restoreLock("x"), /no serialized lock/);
});

test("work is done while a lock is held, and not at all if it is taken", async () => {
  const provider = await locks();
  const inside = await provider.createLock("e").run(async () => provider.createLock("e").runImmediately(() => "never"));
  assert.deepEqual(inside, [true, [false, null]]);
  await assert.rejects(provider.createLock("e").run(() => Promise.reject(new Error("work"))), { message: "work" });
  assert.deepEqual(await provider.createLock("e").runImmediately(() => 7), [true, 7]);
});

test("an operator takes a lock from its holder", async () => {
  const provider = await locks();
  const lock = provider.createLock("f", "9s");
  await lock.acquireImmediately();
  await provider.createLock("f").forceRelease();
  await until("the holder knows", () => lock.isExpired(), 6_000);
  assert.equal(classic.getDistributedLockKey("tidy up"), "lavoro:schedule:ef141c48");
});
