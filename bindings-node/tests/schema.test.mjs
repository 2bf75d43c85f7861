// Validators of payloads: zod and valibot, by the Standard Schema.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { code, database, start } from "./support.mjs";

const schemas = {
  zod: z.object({ to: z.string().min(1), copies: z.number().default(1) }),
  valibot: v.object({ to: v.pipe(v.string(), v.minLength(1)), copies: v.optional(v.number(), 1) }),
  asynchronous: v.pipeAsync(v.string(), v.checkAsync(async (text) => text !== "taken", "is taken")),
};

test("a payload is checked where it is enqueued, and where it is handled", async () => {
  const { lavoro } = await database({ schemas });
  const echo = (payload) => payload;
  await start(lavoro, { zod: echo, valibot: { run: echo }, asynchronous: echo });
  for (const task of ["zod", "valibot"]) {
    assert.deepEqual(await (await lavoro.enqueue(task, { to: "ada" })).result(), { to: "ada", copies: 1 });
    await assert.rejects(lavoro.enqueue(task, { to: "" }), code("invalid_payload", /to: /));
    await assert.rejects(lavoro.enqueueMany([{ task, payload: { to: 1 } }]), code("invalid_payload", new RegExp(task)));
  }
  assert.equal(await (await lavoro.enqueue("asynchronous", "free")).result(), "free");
  await assert.rejects(lavoro.enqueue("asynchronous", "taken"), code("invalid_payload", /is taken/));
});

test("a job from elsewhere whose payload is refused is discarded at once", async () => {
  const { lavoro } = await database();
  let ran = 0;
  const broken = { "~standard": { version: 1, vendor: "test", validate: () => { throw new Error("of the validator"); } } };
  await start(lavoro, { checked: { run: () => void ran++, schema: schemas.zod }, broken: { run: () => void ran++, schema: broken } });
  const job = await lavoro.enqueue("checked", { to: 5 });
  const { state, error } = await job.outcome();
  assert.equal(state, "discarded");
  assert.match(error, /the payload of task "checked" is refused: to: /);
  assert.equal((await job.info()).attempt, 1);
  const other = await lavoro.enqueue("broken", null, { maxAttempts: 1 });
  assert.match((await other.outcome()).error, /of the validator/);
  assert.equal(ran, 0);
});
