import { createLavoro, type Context, type Lavoro, type Worker } from "./engine.js";
import { LavoroLockProvider, type LockProvider } from "./lock.js";
import type { MemoryServer } from "./memory_server.js";
import type { QueueConnectionConfig, QueueDriverStopOptions } from "./types.js";

/** What a worker of a connection does with a task. */
export type Handlers = Record<string, (payload: any, context: Context) => unknown>;

/** A connection of a `Queue`: its client, opened when it is needed, and its workers. */
export class Connection {
  readonly name: string;
  readonly config: QueueConnectionConfig;
  private readonly server: MemoryServer;
  private opened: Promise<Lavoro> | undefined;
  private kept: Promise<Lavoro> | undefined;
  private workers: Worker[] = [];

  constructor(name: string, config: QueueConnectionConfig, server: MemoryServer) {
    this.name = name;
    this.config = config;
    this.server = server;
  }

  get defaultQueue(): string {
    return Object.keys(this.config.queues)[0] as string;
  }

  /** Whether nobody but this process reaches its database. */
  get isPrivate(): boolean {
    return this.config.driver.kind === "memory";
  }

  /** The client. A failed attempt to connect is made again by the next call. */
  lavoro(): Promise<Lavoro> {
    return (this.opened ??= this.open(false).catch((error: unknown) => {
      this.opened = undefined;
      throw error;
    }));
  }

  /** A client that fires schedules: the worker's, or else one of its own. */
  keeper(): Promise<Lavoro> {
    if (this.workers.length > 0) return this.lavoro();
    return (this.kept ??= this.open(true).catch((error: unknown) => {
      this.kept = undefined;
      throw error;
    }));
  }

  private async open(maintenance: boolean): Promise<Lavoro> {
    const { kind, config } = this.config.driver;
    const lavoro =
      kind === "memory"
        ? await this.server.open(this.name, config, maintenance)
        : createLavoro({ ...config, migrate: config.migrate ?? true, maintenance });
    return lavoro.connect();
  }

  /** Locks: the user's own, or Lavoro's. */
  get locks(): LockProvider {
    return this.config.lockProvider ?? new LavoroLockProvider(() => this.lavoro());
  }

  /** Starts a worker. */
  async work(queues: Record<string, number>, handlers: Handlers, failed: (error: Error) => void): Promise<void> {
    const worker = await (await this.lavoro()).worker({ queues, handlers });
    worker.on("error", failed);
    this.workers.push(worker);
  }

  /** Stops the workers. Answers whether all handlers had returned in time. */
  async stop(options: QueueDriverStopOptions): Promise<boolean> {
    const workers = this.workers;
    this.workers = [];
    const stopped = await Promise.all(workers.map((worker) => worker.stop(options)));
    return stopped.every((drained) => drained);
  }

  /** Closes the clients; the server of `memory()` goes after all of them. */
  async close(): Promise<void> {
    const clients = [this.kept, this.opened];
    this.opened = this.kept = undefined;
    for (const client of clients) {
      const lavoro = await client?.catch(() => undefined);
      if (lavoro !== undefined && !this.server.owns(lavoro)) await lavoro.close();
    }
  }
}
