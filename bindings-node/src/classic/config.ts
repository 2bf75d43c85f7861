import type { QueueConfig, QueueConnectionsList } from "./types.js";

type Config<Connections, Connection> = Omit<QueueConfig, "connection" | "connections"> & {
  connection: Connection;
  connections: Connections;
};

/**
 * A checked config for `Queue`, with its names as types.
 *
 * @throws Error if the default connection, the connections, or the queues of one are missing.
 */
export function defineConfig<
  const Connections extends QueueConnectionsList,
  const Connection extends keyof Connections = keyof Connections,
>(config: Config<Connections, Connection>): Config<Connections, Connection> & QueueConfig {
  checkConfig(config as unknown as QueueConfig);
  return config as Config<Connections, Connection> & QueueConfig;
}

/** Refuses a config that lacks something. */
export function checkConfig(config: QueueConfig): void {
  if (!config.connection) throw new Error('Missing "connection" property in queue config file');
  if (!config.connections) throw new Error('Missing "connections" property in queue config file');
  const name = String(config.connection);
  if (!Object.hasOwn(config.connections, name)) {
    throw new Error(`Missing "connections.${name}". It is referenced by the "connection" property`);
  }
  for (const [name, connection] of Object.entries(config.connections)) {
    if (!connection.queues || Object.keys(connection.queues).length === 0) {
      throw new Error(`Connection "${name}" must have at least one queue defined`);
    }
    if (connection.driver?.kind !== "postgres" && connection.driver?.kind !== "memory") {
      throw new Error(`Connection "${name}" needs a driver: postgres() or memory()`);
    }
    for (const [queue, { concurrency = 1 }] of Object.entries(connection.queues)) {
      if (!Number.isInteger(concurrency) || concurrency < 0 || concurrency > 10_000) {
        throw new Error(`Queue "${queue}" of "${name}" has the concurrency ${concurrency}: it takes 0 to 10000`);
      }
    }
  }
}
