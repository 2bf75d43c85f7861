#!/usr/bin/env node
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createLavoro } from "./client.js";
import { milliseconds } from "./duration.js";

const HELP = `lavoro: a job queue on PostgreSQL

  lavoro worker FILE    Runs the workers that a module exports, until SIGINT or SIGTERM
  lavoro migrate        Creates or upgrades the schema

Options of worker
  --timeout TIME        How long a stop waits for running handlers (default: 30s)
  --watch               Starts again whenever a file of the program changes

Options of migrate
  --database-url URL    Default: LAVORO_DATABASE_URL, else DATABASE_URL
  --schema NAME         Default: LAVORO_SCHEMA, else lavoro

FILE exports, as its default or as "worker": a worker, a promise of one, a function that answers
one, or a list of these. TypeScript runs through your loader:

  npx lavoro worker ./app.js
  node --import tsx node_modules/.bin/lavoro worker ./app.ts

Exit codes: 0 stopped, all handlers had returned; 1 an error, or some had not; 2 wrong usage.
The whole command line, for every language, is the program lavoro of the Rust package.
`;

interface Stoppable {
  stop(options?: { graceful?: boolean; timeout?: number }): Promise<unknown>;
  start?(): unknown;
  on?(event: string, listener: (...args: any[]) => void): unknown;
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      watch: { type: "boolean" },
      timeout: { type: "string" },
      "database-url": { type: "string" },
      schema: { type: "string" },
    },
  });
  const [command, file, ...rest] = positionals;
  if (values.help || command === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  if (command === "migrate" && file === undefined) {
    const applied = await createLavoro({ url: values["database-url"], schema: values.schema }).migrate();
    console.log(applied.length === 0 ? "the schema is up to date" : `applied: ${applied.join(", ")}`);
    return 0;
  }
  if (command !== "worker" || file === undefined || rest.length > 0) {
    process.stderr.write(HELP);
    return 2;
  }
  if (!existsSync(file)) {
    console.error(`lavoro: there is no file ${file}`);
    return 2;
  }
  const timeout = milliseconds(values.timeout ?? "30s", "--timeout");
  return values.watch ? watch(file, timeout) : work(file, timeout);
}

/** Node watches the files of the program itself. */
function watch(file: string, timeout: number): Promise<number> {
  const args = [...process.execArgv, "--watch", __filename, "worker", file, "--timeout", `${timeout}ms`];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((done) => child.on("exit", (code) => done(code ?? 0)));
}

async function work(file: string, timeout: number): Promise<number> {
  // Before the module is loaded: its workers take jobs as soon as they are there.
  const signalled = signal();
  const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, any>;
  const exported: unknown = module["worker"] ?? module["default"]?.worker ?? module["default"]?.default ?? module["default"];
  const workers = await collect(exported);
  if (workers.length === 0) {
    console.error(`lavoro: ${file} exports no worker, neither as its default nor as "worker"`);
    return 2;
  }
  console.error(`lavoro: ${workers.length} worker${workers.length === 1 ? "" : "s"} of ${file} running; stop with Ctrl-C`);
  const why = await Promise.race([signalled, stuck(workers)]);
  if (why === "stuck") console.error("lavoro: every slot holds a handler that does not return; ending");
  const stops = await Promise.all(workers.map((worker) => worker.stop({ graceful: why !== "stuck", timeout })));
  return why === "stuck" || stops.includes(false) ? 1 : 0;
}

async function collect(exported: unknown): Promise<Stoppable[]> {
  const value: unknown = await (typeof exported === "function" ? exported() : exported);
  if (Array.isArray(value)) return (await Promise.all(value.map(collect))).flat();
  return typeof (value as Stoppable | undefined)?.stop === "function" ? [value as Stoppable] : [];
}

/** Waits for a worker that is stuck. */
function stuck(workers: Stoppable[]): Promise<"stuck"> {
  return new Promise((done) => workers.forEach((worker) => worker.on?.("stuck", () => done("stuck"))));
}

/** Waits for a signal; a second one ends the process at once. */
function signal(): Promise<"signal"> {
  return new Promise((done) => {
    for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      process.once(name, () => {
        done("signal");
        process.on(name, () => process.exit(code));
      });
    }
  });
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const usage = error instanceof TypeError && String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS");
    console.error(`lavoro: ${usage ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exit(usage ? 2 : 1);
  },
);
