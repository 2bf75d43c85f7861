import type { Job } from "./job.js";
import type { LockProvider } from "./lock.js";

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>;

/** How a queue is worked on. */
export interface WorkerOptions {
  /** How many of its jobs run at a time in this process. Default: 1; 0: none. */
  concurrency?: number;
}

/** How a driver reaches its database; made by `postgres()` and `memory()`. */
export interface ConfiguredDriver {
  readonly kind: "postgres" | "memory";
  readonly config: DriverConfig;
}

/** What a driver is told. */
export interface DriverConfig {
  readonly url: string;
  readonly schema?: string;
  readonly poolSize?: number;
  readonly transactionPooler?: boolean;
  readonly migrate?: boolean;
}

/** A connection: a driver, and the queues that are used on it. */
export interface QueueConnectionConfig<
  Queues extends Record<string, WorkerOptions> = Record<string, WorkerOptions>,
> {
  driver: ConfiguredDriver;
  queues: Queues;
  /** What `getLockProvider` answers for it. Default: Lavoro's own locks on this connection. */
  lockProvider?: LockProvider;
}

/** Connections by name. */
export type QueueConnectionsList = Record<string, QueueConnectionConfig>;

/** For `declare module "lavoro"`: the names of all queues, as keys. See `InferQueueNames`. */
export interface QueueList {}

/** For `declare module "lavoro"`: the connections by name. See `InferConnections`. */
export interface QueueConnections {}

/** For `declare module "lavoro"`: `{ name }` of the default connection. */
export interface DefaultConnection {}

/** For `declare module "lavoro"`: queue names by connection. See `InferConnectionQueues`. */
export interface ConnectionQueues {}

/** The name of a queue: any string, unless `QueueList` is declared. */
export type QueueName = keyof QueueList extends never ? string : keyof QueueList;

/** The name of a connection: any string, unless `QueueConnections` is declared. */
export type QueueConnectionName = keyof QueueConnections extends never ? string : keyof QueueConnections;

/** The names of a connection's queues. */
export type QueueNameForConnection<C extends QueueConnectionName> = C extends keyof ConnectionQueues
  ? ConnectionQueues[C]
  : QueueName;

/** The connection of a dispatch that names none. */
export type DefaultConnectionName = DefaultConnection extends { name: infer N }
  ? N extends QueueConnectionName
    ? N
    : QueueConnectionName
  : QueueConnectionName;

/** A job class. */
export type JobClass<T extends Job<any> = Job<any>> = (new () => T) & { readonly name: string; task?: string };

/** What a `Queue` is made of. */
export interface QueueConfig {
  /** The job classes that this process handles if it is a worker. */
  jobs: readonly JobClass[];
  /** Whether this process works. Default: false, it only dispatches. */
  worker?: boolean;
  /** The name of the default connection. */
  connection: QueueConnectionName;
  connections: QueueConnectionsList;
}

/** The connections of a config. */
export type InferConnections<T> = T extends { connections: infer Connections } ? Connections : never;

/** The name of a config's default connection. */
export type InferDefaultConnection<T> = T extends { connection: infer Connection } ? Connection : never;

type WithQueues = Record<string, { queues: Record<string, any> }>;

/** The names of all queues of a config, as keys. */
export type InferQueueNames<T> = T extends { connections: infer Connections extends WithQueues }
  ? { [K in { [C in keyof Connections]: keyof Connections[C]["queues"] }[keyof Connections]]: never }
  : never;

/** The names of the queues of one connection of a config. */
export type InferQueueNamesForConnection<T, Name extends string> = T extends {
  connections: infer Connections extends WithQueues;
}
  ? Name extends keyof Connections
    ? keyof Connections[Name]["queues"]
    : never
  : never;

/** The names of queues by connection of a config. */
export type InferConnectionQueues<T> = T extends { connections: infer Connections extends WithQueues }
  ? { [C in keyof Connections]: keyof Connections[C]["queues"] }
  : never;

/** How `Queue.stop` stops. */
export interface QueueDriverStopOptions {
  /** Whether jobs that run are waited for. Default: true. */
  graceful?: boolean;
  /** For how many milliseconds. Default: 30000. */
  timeout?: number;
}
