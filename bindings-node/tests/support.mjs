// What all tests use: a schema of one's own on the shared server, and waiting without sleeping.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { after } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createLavoro } from "../dist/index.mjs";

/** The clockwork of tests that lose workers. */
export const QUICK = { heartbeat: 200, lease: 1500, scan: 200, poll: 100 };

export const url = process.env.LAVORO_TEST_URL;
assert.ok(url, "run the tests with `npm test`, which starts their PostgreSQL");

/** A fresh schema, with a client that is closed after the tests of the file. */
export async function database(options = {}) {
  const schema = `t_${randomBytes(6).toString("hex")}`;
  const lavoro = createLavoro({ url, schema, migrate: true, ...options });
  await lavoro.connect();
  after(() => lavoro.close());
  return { lavoro, schema, url };
}

/** A worker that is stopped after the tests of the file. */
export async function start(lavoro, handlers, options = {}) {
  const worker = await lavoro.worker({ handlers, ...options });
  after(() => worker.stop({ timeout: 5000 }));
  return worker;
}

/** A process of Node.js, what it writes, and its end; killed after the tests of the file. */
export function spawned(args, env = {}) {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const { promise, resolve } = deferred();
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  child.on("exit", (code, signal) => resolve({ code, signal, out, err }));
  after(() => child.kill("SIGKILL"));
  return { child, ended: promise, out: () => out, err: () => err };
}

/** Asks again until the answer is true; fails, saying what was awaited. */
export async function until(what, question, seconds = 30) {
  const limit = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > limit) assert.fail(`waited ${seconds} s in vain until ${what}`);
    await pause(20);
  }
}

/** A promise, and what settles it. */
export function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** An error of Lavoro with this code. */
export const code = (wanted, text) => (error) => {
  assert.equal(error.name === "LavoroError" || error.code !== undefined, true, String(error));
  assert.equal(error.code, wanted, error.message);
  if (text !== undefined) assert.match(error.message, text);
  return true;
};
