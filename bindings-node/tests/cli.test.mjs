// `npx lavoro`: workers of a module, stopped by signals.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { database, spawned, until, url } from "./support.mjs";

const cli = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
const app = fileURLToPath(new URL("programs/app.mjs", import.meta.url));

const lavoroCli = (args, env) => spawned([cli, ...args], env);

test("a module's worker runs until a signal, and ends its jobs", async () => {
  const { lavoro, schema } = await database();
  const { child, ended, err } = lavoroCli(["worker", app], { SCHEMA: schema });
  assert.deepEqual(await (await lavoro.enqueue("echo", { a: 1 })).result(), { a: 1 });
  assert.match(err(), /1 worker of .*app\.mjs running/);
  const slow = await lavoro.enqueue("slow");
  await until("it runs", async () => (await slow.state()) === "running");
  child.kill("SIGTERM");
  assert.equal((await ended).code, 0);
  assert.equal(await slow.result(), "in time");
});

test("a handler that does not return in time makes the exit code 1", async () => {
  const { lavoro, schema } = await database();
  const { child, ended } = lavoroCli(["worker", app, "--timeout", "100ms"], { SCHEMA: schema });
  const job = await lavoro.enqueue("hang");
  await until("it runs", async () => (await job.state()) === "running");
  child.kill("SIGINT");
  assert.equal((await ended).code, 1);
  assert.equal(await job.state(), "available");
});

test("wrong usage and errors have their exit codes", async () => {
  const cases = [
    [["--help"], 0, /lavoro worker FILE/],
    [[], 2, /lavoro worker FILE/],
    [["worker"], 2, /lavoro worker FILE/],
    [["explode"], 2, /lavoro worker FILE/],
    [["worker", "nowhere.mjs"], 2, /there is no file nowhere\.mjs/],
    [["worker", app, "--explode"], 2, /--explode/],
    [["worker", app, "--timeout", "soon"], 1, /--timeout is "soon"/],
    [["worker", cli.replace("cli.js", "duration.js")], 2, /exports no worker/],
    [["migrate", "--database-url", url, "--schema", "cli_made"], 0, /applied: 1/],
    [["migrate", "--database-url", url, "--schema", "cli_made"], 0, /up to date/],
    [["worker", app], 1, /schema/, { SCHEMA: "cli_missing" }],
  ];
  for (const [args, wanted, text, env] of cases) {
    const { code, out, err } = await lavoroCli(args, env).ended;
    assert.equal(code, wanted, `${args.join(" ")}: ${out}${err}`);
    assert.match(out + err, text);
  }
});
