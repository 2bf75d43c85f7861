// What README shows does what it says.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { database } from "./support.mjs";

test("the quickstart greets", async () => {
  const { lavoro, schema } = await database();
  const example = fileURLToPath(new URL("../examples/quickstart.mjs", import.meta.url));
  const env = { ...process.env, LAVORO_DATABASE_URL: await lavoro.url(), LAVORO_SCHEMA: schema };
  const { stdout } = await promisify(execFile)(process.execPath, [example], { env, timeout: 60_000 });
  assert.equal(stdout, "Hello, Ada!\n");
});
