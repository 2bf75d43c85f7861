// Packs what is published: `lavoro`, and the native part for this platform as a package of its
// own, which `lavoro` names among its optional dependencies. No install scripts. Takes the
// directory that the two files go into (default: here).
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const into = resolve(process.argv[2] ?? here);
const { scripts, devDependencies, napi, ...manifest } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const { version, license, repository, engines } = manifest;

/** Node's names of the platforms that are built. */
const PLATFORMS = {
  "linux-x64-gnu": { os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
  "linux-arm64-gnu": { os: ["linux"], cpu: ["arm64"], libc: ["glibc"] },
  "linux-x64-musl": { os: ["linux"], cpu: ["x64"], libc: ["musl"] },
  "linux-arm64-musl": { os: ["linux"], cpu: ["arm64"], libc: ["musl"] },
  "darwin-x64": { os: ["darwin"], cpu: ["x64"] },
  "darwin-arm64": { os: ["darwin"], cpu: ["arm64"] },
};

function pack(directory, manifest) {
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(here, "..", "LICENSE"), join(directory, "LICENSE"));
  const out = execFileSync("npm", ["pack", "--json", "--pack-destination", into], { cwd: directory, encoding: "utf8" });
  const packed = JSON.parse(out);
  const { filename, size, entryCount } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
  console.log(`${filename}: ${(size / 1048576).toFixed(1)} MiB, ${entryCount} files`);
}

mkdirSync(into, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "lavoro-pack-"));
try {
  const native = readdirSync(join(here, "native")).filter((name) => name.endsWith(".node"));
  for (const file of native) {
    const platform = file.split(".")[1];
    const directory = join(stage, platform);
    mkdirSync(directory);
    cpSync(join(here, "native", file), join(directory, "lavoro.node"));
    const description = `The native part of lavoro for ${platform}`;
    const name = `@lavoro/native-${platform}`;
    pack(directory, { name, version, description, license, repository, engines, main: "lavoro.node", files: ["lavoro.node"], ...PLATFORMS[platform] });
  }
  const directory = join(stage, "lavoro");
  mkdirSync(join(directory, "native"), { recursive: true });
  cpSync(join(here, "dist"), join(directory, "dist"), { recursive: true });
  cpSync(join(here, "native", "binding.d.ts"), join(directory, "native", "binding.d.ts"));
  if (existsSync(join(here, "README.md"))) cpSync(join(here, "README.md"), join(directory, "README.md"));
  const names = Object.keys(PLATFORMS).map((platform) => [`@lavoro/native-${platform}`, version]);
  pack(directory, { ...manifest, optionalDependencies: Object.fromEntries(names) });
} finally {
  rmSync(stage, { recursive: true, force: true });
}
