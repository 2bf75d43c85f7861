import type { Duration } from "./duration.js";
import { milliseconds } from "./duration.js";
import { LavoroError, native, nativeSync } from "./errors.js";
import type { NativeLock } from "./native.js";

/** How to take a lock. */
export interface LockOptions {
  /** How long it lives when its holder cannot extend it: 1 second to 24 hours. Default: 15 s. */
  lifetime?: Duration;
  /** How long to wait for it. Default: 30 seconds. */
  wait?: Duration;
  /** What the holder is called in listings. Default: `host:pid`. */
  owner?: string;
  /** Stops the waiting. */
  signal?: AbortSignal;
}

/** Why a lock is not held any more. */
export class LockLostError extends LavoroError {
  /** `lost_contact`: it could not be extended; `lost`: another may have it; `closed`. */
  readonly reason: string;

  constructor(name: string, reason: string) {
    super("lock_lost", `the lock "${name}" is not held any more: ${reason}`);
    this.name = "LockLostError";
    this.reason = reason;
  }
}

/**
 * A lock that is held. A thread of Lavoro's own extends it, until it is released or lost: release
 * it, or declare it with `await using`. Pass `fence` on to what is written.
 */
export class Lock {
  readonly #native: NativeLock;
  readonly #over: (lock: Lock) => void;
  #signal: AbortSignal | undefined;
  readonly name: string;
  readonly owner: string;
  /** A number in decimal digits that rises with each grant of this name. */
  readonly fence: string;

  /** @internal */
  constructor(lock: NativeLock, over: (lock: Lock) => void) {
    this.#native = lock;
    this.#over = over;
    this.name = lock.name;
    this.owner = lock.owner;
    this.fence = lock.fence;
  }

  /** Whether it is held as far as this process knows. Asks nobody. */
  get isHeld(): boolean {
    return this.#native.isHeld;
  }

  /** For how many milliseconds the database keeps it at least, if it is not extended. */
  get remainingMs(): number {
    return this.#native.remainingMs;
  }

  /** Raised when the lock is lost; the reason is a `LockLostError`. Not by a release. */
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController();
      this.#signal = controller.signal;
      void this.#native.lost().then((reason) => {
        if (reason !== null) controller.abort(new LockLostError(this.name, reason));
      });
    }
    return this.#signal;
  }

  /** Lets it live at least so long from now on. @throws LavoroError `lock_lost`. */
  async extend(span: Duration): Promise<void> {
    await native(this.#native.extend(milliseconds(span, "span")));
  }

  /** Releases it. Answers whether it was still held; a second call answers false. */
  async release(): Promise<boolean> {
    const released = await native(this.#native.release());
    this.#over(this);
    return released;
  }

  /** The lock as text for `restoreLock` in another process. The text is a secret. */
  serialize(): string {
    return nativeSync(() => this.#native.serialise());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
