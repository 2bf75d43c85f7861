// Starts a throw-away PostgreSQL, once, and runs the tests on it: all of them, or the files named.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createLavoro } from "../dist/index.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const named = process.argv.slice(2);
const wanted = (file) => file.endsWith(".test.mjs") && (named.length === 0 || named.some((name) => file.includes(name)));
const files = readdirSync(here, { recursive: true }).filter(wanted).sort();
const lavoro = createLavoro({ url: "memory:" });
const env = { ...process.env, LAVORO_TEST_URL: await lavoro.url() };
const tests = spawn(process.execPath, ["--test", "--test-concurrency=2", ...files.map((file) => join(here, file))], {
  stdio: "inherit",
  env,
});
tests.on("exit", async (code) => {
  process.exitCode = code ?? 1;
  await lavoro.close();
});
