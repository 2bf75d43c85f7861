// What the tests of the classes share: one server for each file, a schema for each test.
import { createRequire } from "node:module";
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
/** Where the compiled package is. */
export const dist = process.env.LAVORO_DIST ?? fileURLToPath(new URL("../../dist", import.meta.url));

export const classic = require(`${dist}/classic/index.js`);
export const { postgres } = require(`${dist}/classic/postgres.js`);
export const { memory } = require(`${dist}/classic/memory.js`);
export const { createLavoro } = require(`${dist}/client.js`);
export const { fromPg } = require(`${dist}/transaction.js`);
const { Job, Queue, ScheduleRegistry, defineConfig } = classic;

/** Backoff that tests need not wait for. */
export const SOON = { kind: "fixed", base: 50, jitter: 0 };

let root;
let schemas = 0;
const queues = new Set();

/** The URL of the server of all tests (`npm test`), or of one for the tests of this file. */
export async function server() {
  if (process.env.LAVORO_TEST_URL) return process.env.LAVORO_TEST_URL;
  root ??= createLavoro({ url: "memory:" });
  return root.url();
}

/** A server for one test, which may do to it what it likes. */
export async function ownServer(context) {
  const own = createLavoro({ url: "memory:" });
  context.after(async () => {
    await tidy();
    await own.close();
  });
  return own.url();
}

/** What SQL answers, as text. */
export function sql(url, text) {
  return execFileSync("psql", [url, "-qAtc", text], { encoding: "utf8" }).trim();
}

/** A driver with a schema that nobody else uses. */
export async function driver(more = {}) {
  return postgres({ url: await server(), schema: `classic_${process.pid}_${++schemas}`, ...more });
}

/** A queue with one connection, `main`, and the queue `default`; it dispatches by default. */
export async function queueOf(jobs, { worker = true, queues: names = { default: { concurrency: 1 } }, ...more } = {}) {
  const connections = { main: { driver: more.driver ?? (await driver()), queues: names, lockProvider: more.lockProvider } };
  return made(defineConfig({ jobs, worker, connection: "main", connections }));
}

/** A queue of a config, stopped after the test; jobs go to it by default. */
export function made(config) {
  const queue = new Queue(config);
  queues.add(queue);
  Job.setDefaultQueueServiceResolver(() => queue);
  return queue;
}

/** After each test. */
export async function tidy() {
  ScheduleRegistry.clear();
  for (const queue of queues) await queue.stop({ graceful: false }).catch(() => undefined);
  queues.clear();
  Job.setDefaultQueueServiceResolver(undefined);
}

/** After all tests. */
export async function end() {
  await root?.close();
}

/** Waits until it answers something, and answers that. */
export async function until(what, condition, timeout = 20_000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${timeout} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A promise, and what fulfils it. */
export function gate() {
  let open;
  const passed = new Promise((resolve) => (open = resolve));
  return { open, passed };
}

/** The most runs that were under way at once, of `{ began, ended }`. */
export function mostAtOnce(runs) {
  const moments = runs.flatMap(({ began, ended }) => [
    [began, 1],
    [ended ?? Infinity, -1],
  ]);
  moments.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let now = 0;
  return moments.reduce((most, [, step]) => Math.max(most, (now += step)), 0);
}

/** Another process of the same application: see replica.mjs. Collects what it tells. */
export async function replica(config) {
  const url = await server();
  const script = fileURLToPath(new URL("replica.mjs", import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify({ url, ...config })], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, LAVORO_DIST: dist },
  });
  const told = [];
  createInterface({ input: child.stdout }).on("line", (line) => told.push(JSON.parse(line)));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  await until("the replica has started", () => told.some((line) => line.ready) || child.exitCode !== null);
  return {
    runs: () => told.filter((line) => line.began !== undefined),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
