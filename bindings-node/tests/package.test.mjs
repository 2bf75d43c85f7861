// The package as users get it: packed, and installed into an empty folder.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { url } from "./support.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "lavoro-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const { NODE_TEST_CONTEXT, ...env } = process.env;
const run = (program, args, options) => execFileSync(program, args, { cwd: folder, env, encoding: "utf8", stdio: "pipe", ...options });

test("the package works from an empty folder, in both kinds of modules, with its types", () => {
  run(process.execPath, [join(here, "scripts", "pack.mjs"), join(folder, "packed")]);
  const tarballs = readdirSync(join(folder, "packed")).map((name) => `./packed/${name}`);
  assert.ok(tarballs.length >= 2);
  writeFileSync(join(folder, "package.json"), "{}");
  // Packages for other platforms are not published yet, and need not be found.
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", ...tarballs], { shell: process.platform === "win32" });

  const manifest = JSON.parse(readFileSync(join(folder, "node_modules", "lavoro", "package.json"), "utf8"));
  assert.deepEqual([manifest.scripts, manifest.dependencies], [undefined, undefined]);
  assert.equal(Object.keys(manifest.optionalDependencies).length, 6);

  const body = `
    const lavoro = createLavoro({ url: process.env.LAVORO_TEST_URL, schema: process.env.SCHEMA, migrate: true });
    const worker = await lavoro.worker({ handlers: { add: ([a, b]) => a + b } });
    console.log("result", await (await lavoro.enqueue("add", [1, 2])).result());
    class Mail extends Job {}
    if (typeof Queue.prototype.start !== "function" || typeof Mail.dispatch !== "function" || !Schedule) throw new LavoroError("internal", "no classes");
    await lavoro.close();`;
  writeFileSync(join(folder, "esm.mjs"), `import { createLavoro, Job, LavoroError, Queue, Schedule } from "lavoro";\nimport "lavoro/testing";\nimport "lavoro/postgres";\nimport "lavoro/memory";\n${body}`);
  writeFileSync(join(folder, "common.cjs"), `const { createLavoro, Job, LavoroError, Queue, Schedule } = require("lavoro");\nrequire("lavoro/testing");\nrequire("lavoro/postgres");\nrequire("lavoro/memory");\n(async () => {${body}})();`);
  for (const file of ["esm.mjs", "common.cjs"]) {
    const schema = `package_${file.replace(".", "_")}`;
    assert.equal(run(process.execPath, [file], { env: { ...env, LAVORO_TEST_URL: url, SCHEMA: schema } }), "result 3\n");
  }
  assert.match(run(join(folder, "node_modules", ".bin", "lavoro"), ["--help"]), /lavoro worker FILE/);

  const typed = `import { createLavoro, Job, type JobContext } from "lavoro";
    import { postgres } from "lavoro/postgres";
    import { memory } from "lavoro/memory";
    import { drain } from "lavoro/testing";
    const lavoro = createLavoro<{ add: { payload: [number, number]; result: number } }>();
    export const sum = async (job: JobContext): Promise<number> => (await lavoro.enqueue("add", [1, job.attempt])).result();
    // @ts-expect-error the payload is a pair
    export const wrong = () => lavoro.enqueue("add", 1);
    class Mail extends Job<{ to: string }> { handle({ to }: { to: string }) { return to; } }
    export { drain, Mail, memory, postgres };`;
  for (const name of ["typed.mts", "typed.cts"]) writeFileSync(join(folder, name), typed);
  mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
  const compilerOptions = { module: "node16", target: "es2022", lib: ["es2023", "esnext.disposable"], strict: true, noEmit: true, skipLibCheck: false, types: ["node"], typeRoots: [join(here, "node_modules", "@types")] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["typed.mts", "typed.cts"] }));
  try {
    run(process.execPath, [join(here, "node_modules", "typescript", "bin", "tsc"), "-p", "."]);
  } catch (error) {
    assert.fail(`${error.stdout}${error.stderr}`);
  }
});
