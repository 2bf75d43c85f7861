import { createRequire } from "node:module";
import { join } from "node:path";

/** What a `Logger` writes to: pino and its kin. */
export interface LogAdapter {
  child?(bindings: object): LogAdapter;
  trace(...args: any[]): void;
  debug(...args: any[]): void;
  info(...args: any[]): void;
  warn(...args: any[]): void;
  error(...args: any[]): void;
  fatal?(...args: any[]): void;
}

/** Levels of a logger, from the most talkative on. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** A logger over an adapter. */
export class Logger {
  private readonly adapter: LogAdapter;

  constructor(adapter: LogAdapter) {
    this.adapter = adapter;
  }

  /** A logger that adds these fields to each line. */
  child(bindings: object): Logger {
    return new Logger(this.adapter.child?.(bindings) ?? this.adapter);
  }

  trace(message: any, more?: any): void {
    this.adapter.trace(message, more);
  }

  debug(message: any, more?: any): void {
    this.adapter.debug(message, more);
  }

  info(message: any, more?: any): void {
    this.adapter.info(message, more);
  }

  warn(message: any, more?: any): void {
    this.adapter.warn(message, more);
  }

  error(message: any, more?: any): void {
    this.adapter.error(message, more);
  }

  fatal(message: any, more?: any): void {
    if (this.adapter.fatal) this.adapter.fatal(message, more);
    else this.adapter.error(message, more);
  }
}

const nothing = (): void => undefined;

const SILENT: LogAdapter = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
};

type Pino = (options: { name: string; level: string }) => LogAdapter;

/** A logger on pino if the application has it installed, else a silent one. */
export function createDefaultLogger(name: string, level: LogLevel = "info"): Logger {
  const pino = findPino();
  return new Logger(pino ? pino({ name, level }) : SILENT);
}

/** pino as the application has it, from wherever it runs and in whatever module system. */
function findPino(): Pino | undefined {
  for (const from of [__filename, join(process.cwd(), "package.json")]) {
    try {
      const pino: Pino & { default?: Pino } = createRequire(from)("pino");
      return pino.default ?? pino;
    } catch {
      // Looks further.
    }
  }
  return undefined;
}
