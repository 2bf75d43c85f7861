import { createLavoro, type Lavoro } from "./engine.js";
import type { DriverConfig } from "./types.js";

/** The throw-away server of a `Queue`, and who is connected to it. */
export class MemoryServer {
  private root: Lavoro | undefined;
  private schemas = new Map<string, string>();

  /** A client of it; the first one starts it. Each connection has a schema of its own. */
  async open(connection: string, config: DriverConfig, maintenance: boolean): Promise<Lavoro> {
    const { poolSize } = config;
    const schema = config.schema ?? this.schemaOf(connection);
    if (this.root === undefined) {
      this.root = createLavoro({ url: "memory:", schema, poolSize, maintenance });
      try {
        return await this.root.connect();
      } catch (error) {
        this.root = undefined;
        throw error;
      }
    }
    const url = await this.root.url();
    return createLavoro({ url, schema, poolSize, maintenance, migrate: true });
  }

  private schemaOf(connection: string): string {
    const schema = this.schemas.get(connection) ?? (this.schemas.size === 0 ? "lavoro" : `lavoro_${this.schemas.size}`);
    this.schemas.set(connection, schema);
    return schema;
  }

  /** Whether the server ends with this client. */
  owns(lavoro: Lavoro): boolean {
    return lavoro === this.root;
  }

  /** Ends it. */
  async close(): Promise<void> {
    const root = this.root;
    this.root = undefined;
    await root?.close();
  }
}
