import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { milliseconds, type Duration } from "../duration.js";
import { LavoroError } from "../errors.js";
import type { HeldLock, Lavoro } from "./engine.js";

/** The key of the lock that belongs to a schedule. */
export function getDistributedLockKey(name: string): string {
  return `lavoro:schedule:${createHash("sha1").update(name).digest("hex").slice(0, 8)}`;
}

/** What makes locks: `queue.getLockProvider(connection)`, or an object of your own. */
export interface LockProvider {
  /** A lock that is not taken yet. `ttl`: how long it lives; `null`: until it is released. */
  createLock(key: string, ttl?: Duration | null): ProviderLock;
  /** A lock that another process has serialized. */
  restoreLock(serialized: string): ProviderLock;
}

/** A lock of a `LockProvider`. */
export interface ProviderLock {
  /** Takes it, waiting in line. Answers false if it was not free in time. Default: 30 seconds. */
  acquire(options?: { retry?: { timeout?: Duration } }): Promise<boolean>;
  /** Takes it if it is free. Answers whether it was. */
  acquireImmediately(): Promise<boolean>;
  /** Releases it. @throws Error if this is not its holder. */
  release(): Promise<void>;
  /** Releases it whoever holds it: for an operator, the holder may be at work. */
  forceRelease(): Promise<void>;
  /** Lets it live so long from now on. Default: its `ttl`. @throws Error if it is not held. */
  extend(ttl?: Duration): Promise<void>;
  /** Whether anybody holds it. */
  isLocked(): Promise<boolean>;
  /** Whether this holder has lost it, or let it expire. */
  isExpired(): boolean;
  /** For how many milliseconds this holder has it; `null`: until it is released. */
  getRemainingTime(): number | null;
  /** The lock as text for `restoreLock`. The text is a secret. @throws Error if it is not held. */
  serialize(): string;
  /** What its holder is called. */
  getOwner(): string;
  /** Runs this while it holds the lock. Answers `[whether, result]`. */
  run<T>(work: () => T | Promise<T>): Promise<[true, T] | [false, null]>;
  /** As `run`, without waiting. */
  runImmediately<T>(work: () => T | Promise<T>): Promise<[true, T] | [false, null]>;
}

/** What the lives of locks in the database range over, in milliseconds. */
const LIFETIME = { least: 1000, most: 86_400_000, default: 15_000 };
/** What `setTimeout` takes at most. */
const LONGEST_TIMER = 2_147_483_647;

/** Locks on a connection of Lavoro. */
export class LavoroLockProvider implements LockProvider {
  private readonly lavoro: () => Promise<Lavoro>;

  constructor(lavoro: () => Promise<Lavoro>) {
    this.lavoro = lavoro;
  }

  createLock(key: string, ttl: Duration | null = LIFETIME.default): LavoroLock {
    return new LavoroLock(this.lavoro, key, ttl === null ? null : milliseconds(ttl, "ttl"));
  }

  restoreLock(serialized: string): LavoroLock {
    let letter: { name?: unknown; ttl?: unknown; lock?: unknown };
    try {
      letter = JSON.parse(serialized);
    } catch {
      letter = {};
    }
    const { name, ttl = null, lock } = letter;
    if (typeof name !== "string" || typeof lock !== "string") throw new Error("This is no serialized lock");
    return new LavoroLock(this.lavoro, name, ttl as number | null, lock);
  }
}

/**
 * One of Lavoro's locks under the rules of a `ttl`: it is extended by a native thread, whatever the
 * event loop does, and let go when its `ttl` is over and nobody has extended it.
 */
export class LavoroLock implements ProviderLock {
  private readonly lavoro: () => Promise<Lavoro>;
  private readonly key: string;
  private readonly ttl: number | null;
  private letter: string | undefined;
  private held: HeldLock | undefined;
  private ends: number | null = 0;
  private timer: NodeJS.Timeout | undefined;
  private shared = false;

  /** @internal */
  constructor(lavoro: () => Promise<Lavoro>, key: string, ttl: number | null, letter?: string) {
    this.lavoro = lavoro;
    this.key = key;
    this.ttl = ttl;
    this.letter = letter;
  }

  private get lifetime(): number {
    return Math.min(Math.max(this.ttl ?? LIFETIME.default, LIFETIME.least), LIFETIME.most);
  }

  async acquire(options: { retry?: { timeout?: Duration } } = {}): Promise<boolean> {
    if (await this.own()) return true;
    try {
      const wait = options.retry?.timeout;
      return this.hold(await (await this.lavoro()).lock(this.key, { lifetime: this.lifetime, wait }));
    } catch (error) {
      if (error instanceof LavoroError && error.code === "timeout") return false;
      throw error;
    }
  }

  async acquireImmediately(): Promise<boolean> {
    if (await this.own()) return true;
    const lock = await (await this.lavoro()).tryLock(this.key, { lifetime: this.lifetime });
    return lock !== null && this.hold(lock);
  }

  async release(): Promise<void> {
    const held = (await this.own()) ? this.held : undefined;
    this.forget();
    if (!(await held?.release())) throw new Error(`The lock "${this.key}" is not held by this owner`);
  }

  async forceRelease(): Promise<void> {
    const held = this.held;
    this.forget();
    if (await held?.release().catch(() => false)) return;
    await (await this.lavoro()).locks.forceRelease(this.key);
  }

  async extend(ttl?: Duration): Promise<void> {
    const span = ttl === undefined ? this.ttl : milliseconds(ttl, "ttl");
    if (!(await this.own())) throw new Error(`The lock "${this.key}" is not held by this owner`);
    await this.held?.extend(Math.min(Math.max(span ?? LIFETIME.default, LIFETIME.least), LIFETIME.most));
    this.end(span);
  }

  async isLocked(): Promise<boolean> {
    const locks = await (await this.lavoro()).locks.list();
    return locks.some((lock) => lock.name === this.key);
  }

  isExpired(): boolean {
    return !this.isHeld();
  }

  getRemainingTime(): number | null {
    if (!this.isHeld()) return 0;
    return this.ends === null ? null : Math.max(0, this.ends - performance.now());
  }

  serialize(): string {
    if (!this.isHeld() || this.held === undefined) {
      if (this.letter !== undefined) return this.write(this.letter);
      throw new Error(`The lock "${this.key}" is not held by this owner`);
    }
    this.shared = true;
    return this.write(this.held.serialize());
  }

  getOwner(): string {
    return this.held?.owner ?? `${hostname()}:${process.pid}`;
  }

  async run<T>(work: () => T | Promise<T>): Promise<[true, T] | [false, null]> {
    return (await this.acquire()) ? this.within(work) : [false, null];
  }

  async runImmediately<T>(work: () => T | Promise<T>): Promise<[true, T] | [false, null]> {
    return (await this.acquireImmediately()) ? this.within(work) : [false, null];
  }

  private async within<T>(work: () => T | Promise<T>): Promise<[true, T]> {
    try {
      return [true, await work()];
    } finally {
      // One that was lost meanwhile is another's: it stays.
      await this.release().catch(() => undefined);
    }
  }

  private write(lock: string): string {
    return JSON.stringify({ name: this.key, ttl: this.ttl, lock });
  }

  private isHeld(): boolean {
    return this.held?.isHeld === true && (this.ends === null || this.ends > performance.now());
  }

  /** Whether it is held here; one that was handed over is, from the first look on. */
  private async own(): Promise<boolean> {
    if (this.isHeld()) return true;
    if (this.letter === undefined) return false;
    const letter = this.letter;
    this.letter = undefined;
    try {
      return this.hold(await (await this.lavoro()).restoreLock(letter));
    } catch (error) {
      if (error instanceof LavoroError && error.code === "lock_lost") return false;
      this.letter = letter;
      throw error;
    }
  }

  private hold(lock: HeldLock): true {
    this.held = lock;
    this.shared = false;
    this.end(this.ttl);
    return true;
  }

  /** Lets it live so long from now on. */
  private end(span: number | null): void {
    clearTimeout(this.timer);
    this.ends = span === null ? null : performance.now() + span;
    if (span === null || this.shared) return;
    this.timer = setTimeout(() => this.expire(), Math.min(span, LONGEST_TIMER));
    this.timer.unref();
  }

  private expire(): void {
    // Whoever it was handed over to may still be at work under it.
    if (this.shared) return;
    const left = (this.ends ?? 0) - performance.now();
    if (left > 1) {
      this.timer = setTimeout(() => this.expire(), Math.min(left, LONGEST_TIMER));
      this.timer.unref();
      return;
    }
    const held = this.held;
    this.forget();
    held?.release().catch(() => undefined);
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.held = undefined;
    this.ends = 0;
  }
}
