/**
 * Any failure of Lavoro. `code` is stable and the same in every language; docs/limits.md lists
 * them. The message says what happened, which limit it met and what to do.
 */
export class LavoroError extends Error {
  /** The stable code: `invalid_task`, `payload_too_large`, `connection_failed`, … */
  readonly code: string;
  /** Whether the same call may succeed if it is made again. */
  readonly transient: boolean;

  constructor(code: string, message: string, options: { transient?: boolean; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "LavoroError";
    this.code = code;
    this.transient = options.transient ?? false;
  }
}

/** The job whose result was asked for did not complete. Its code is `invalid_state`. */
export class JobEndedError extends LavoroError {
  /** How the job ended. */
  readonly state: "cancelled" | "discarded";
  /** What its last failed attempt said, if anything. */
  readonly reason: string | null;

  constructor(id: string, state: "cancelled" | "discarded", reason: string | null) {
    super("invalid_state", `job ${id} has no result: it is ${state} (${reason ?? "no error was recorded"})`);
    this.name = "JobEndedError";
    this.state = state;
    this.reason = reason;
  }
}

/** Why a handler should stop. */
export type StopReason = "cancelled" | "timeout" | "shutdown" | "lost_contact" | "lost_lease";

/** What a handler's `AbortSignal` gives as its reason. Its name is `AbortError`. */
export class JobAbortError extends Error {
  /** Why the handler should stop. */
  readonly reason: StopReason;

  constructor(reason: StopReason) {
    super(`the attempt should stop: ${reason}`);
    this.name = "AbortError";
    this.reason = reason;
  }
}

/** An error of the native part, as one of ours. */
export function translate(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const parts = /^([a-z_]+)\n([01])\n([\s\S]*)$/.exec(error.message);
  if (parts !== null) {
    return new LavoroError(parts[1] as string, parts[3] as string, { transient: parts[2] === "1" });
  }
  return new LavoroError("internal", `a defect in Lavoro: ${error.message}`, { cause: error });
}

/** Awaits a call of the native part. */
export async function native<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw translate(error);
  }
}

/** Makes a call of the native part that answers at once. */
export function nativeSync<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translate(error);
  }
}

/** An option that cannot be used. */
export function invalidOption(message: string): LavoroError {
  return new LavoroError("invalid_option", message);
}
