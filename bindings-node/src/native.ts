import { existsSync } from "node:fs";
import { join } from "node:path";
import type * as binding from "../native/binding.js";
import { LavoroError } from "./errors.js";

/** The native part. */
export type Native = typeof binding;
export type { NativeClient, NativeDesk, NativeDrainer, NativeLock, NativeLockRequest, NativeWorker } from "../native/binding.js";

let loaded: Native | undefined;

/**
 * Loads the native part, once: what was built beside this package, else the package for this
 * platform.
 */
export function load(): Native {
  return (loaded ??= find());
}

function find(): Native {
  const name = platform();
  const built = join(__dirname, "..", "native", `lavoro.${name}.node`);
  try {
    return require(existsSync(built) ? built : `@lavoro/native-${name}`) as Native;
  } catch (cause) {
    throw new LavoroError(
      "internal",
      `the native part of lavoro for ${name} is missing or cannot be loaded: install lavoro without ` +
        `--omit=optional, on this platform (a node_modules of another platform does not do)`,
      { cause },
    );
  }
}

function platform(): string {
  const { platform, arch } = process;
  if (platform !== "linux") return `${platform}-${arch}`;
  const report = process.report?.getReport() as unknown as { header?: { glibcVersionRuntime?: string } } | undefined;
  return `linux-${arch}-${report?.header?.glibcVersionRuntime === undefined ? "musl" : "gnu"}`;
}
