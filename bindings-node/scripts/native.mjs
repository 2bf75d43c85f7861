// Builds the native part with cargo (`--release`: optimised), puts it into native/, and writes
// native/binding.d.ts from what napi's macros say; with `--check` it only looks whether the
// committed one is up to date.
import { generateTypeDef } from "@napi-rs/cli";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const release = process.argv.includes("--release");
const target = process.env.CARGO_TARGET_DIR ?? join(here, "..", "target");
const built = join(target, release ? "release" : "debug");
const types = join(target, "node-types", release ? "release" : "debug");
const declarations = join(here, "native", "binding.d.ts");

/** The macros write only while the crate is compiled: make cargo do so if it has not since. */
function forceIfStale() {
  mkdirSync(types, { recursive: true });
  const sources = readdirSync(join(here, "src")).filter((name) => name.endsWith(".rs"));
  const newest = Math.max(...sources.map((name) => statSync(join(here, "src", name)).mtimeMs));
  const written = join(types, "lavoro-node");
  if (existsSync(written) && statSync(written).mtimeMs > newest) return;
  utimesSync(join(here, "src", "lib.rs"), new Date(), new Date());
}

function platform() {
  if (process.platform !== "linux") return `${process.platform}-${process.arch}`;
  const glibc = process.report.getReport().header.glibcVersionRuntime;
  return `linux-${process.arch}-${glibc === undefined ? "musl" : "gnu"}`;
}

forceIfStale();
execFileSync("cargo", ["build", "-p", "lavoro-node", ...(release ? ["--release"] : [])], {
  cwd: here,
  stdio: "inherit",
  env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: types },
});

// Renamed into its place: a program that has the old one loaded keeps it.
const library = process.platform === "darwin" ? "liblavoro_node.dylib" : "liblavoro_node.so";
const place = join(here, "native", `lavoro.${platform()}.node`);
copyFileSync(join(built, library), `${place}.new`);
renameSync(`${place}.new`, place);

const { dts } = await generateTypeDef({ typeDefDir: types, cwd: here });
if (process.argv.includes("--check")) {
  if (readFileSync(declarations, "utf8") !== dts) {
    console.error("native/binding.d.ts is out of date: run `npm run native` in bindings-node and commit it");
    process.exit(1);
  }
  console.log("native/binding.d.ts is up to date");
} else {
  writeFileSync(declarations, dts);
}
