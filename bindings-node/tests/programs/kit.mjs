// An application's test: a database of its own, and no clean-up but closing the client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drain, testLavoro } from "../../dist/testing.mjs";

for (const n of [1, 2]) {
  test(`test ${n} has a database of its own`, async () => {
    await using_(async (lavoro) => {
      await lavoro.enqueue("count", n);
      const seen = [];
      const { completed } = await drain(lavoro, { count: (payload) => void seen.push(payload) });
      assert.deepEqual([completed, seen], [1, [n]]);
    });
  });
}

// What `await using` does, for Node 20.
async function using_(work) {
  const lavoro = await testLavoro();
  try {
    await work(lavoro);
  } finally {
    await lavoro[Symbol.asyncDispose]();
  }
}
