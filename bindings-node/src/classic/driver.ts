import type { ConfiguredDriver, DriverConfig } from "./types.js";

/** How to reach a PostgreSQL. */
export interface PostgresConfig {
  /** A URL in place of host, port, user, password and database. */
  url?: string;
  /** A name, an address, or the directory of a socket. Default: `localhost`. */
  host?: string;
  /** Default: 5432. */
  port?: string | number;
  user?: string;
  password?: string;
  /** Default: called like the user. */
  database?: string;
  /**
   * `true`: TLS, and the server's certificate is checked; `{ rejectUnauthorized: false }`: TLS,
   * unchecked; `{ ca }`: the path of the certificate to trust; or a mode as of libpq's `sslmode`.
   * Default: TLS if the server has it.
   */
  ssl?: boolean | SslMode | { rejectUnauthorized?: boolean; ca?: string; cert?: string; key?: string };
  /** The schema. Connections with one database and schema share queues. Default: `lavoro`. */
  schema?: string;
  /** How many connections at most, 1 to 100. Default: 4. */
  poolSize?: number;
  /** Whether a pooler in transaction mode is in between. Default: false. */
  transactionPooler?: boolean;
  /** Whether to create or upgrade the schema. Default: true. */
  migrate?: boolean;
}

/** As of libpq. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

const MODES: readonly string[] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/** A driver on a PostgreSQL: a URL, or what one is made of. */
export function postgres(config: PostgresConfig | string): ConfiguredDriver {
  const given = typeof config === "string" ? { url: config } : config;
  if (typeof given !== "object" || given === null) {
    throw new Error("postgres() takes a URL, or an object with host, port, user, password, database");
  }
  const { schema, poolSize, transactionPooler, migrate = true } = given;
  return driver("postgres", { url: urlOf(given), schema, poolSize, transactionPooler, migrate });
}

/** Options of a throw-away server. */
export interface MemoryConfig {
  /** The schema. Default: one of its own for each connection. */
  schema?: string;
  /** How many connections at most, 1 to 100. Default: 4. */
  poolSize?: number;
}

/**
 * A driver on a throw-away PostgreSQL that a `Queue` starts when it is first used, and removes with
 * all jobs when it stops.
 */
export function memory(config: MemoryConfig = {}): ConfiguredDriver {
  return driver("memory", { url: "memory:", schema: config.schema, poolSize: config.poolSize });
}

/** The password must not show where a config is logged. */
function driver(kind: ConfiguredDriver["kind"], config: DriverConfig): ConfiguredDriver {
  const made = { kind } as ConfiguredDriver;
  Object.defineProperty(made, "config", { value: Object.freeze(config), enumerable: false });
  return made;
}

function urlOf(config: PostgresConfig): string {
  const query = sslOf(config.ssl);
  if (config.url !== undefined) {
    const mark = config.url.includes("?") ? "&" : "?";
    return query.length > 0 ? `${config.url}${mark}${query.join("&")}` : config.url;
  }
  const { host = "localhost", port = 5432, user, password, database } = config;
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new Error(`port is ${String(port)}: it takes 1 to 65535`);
  }
  let account = user === undefined ? "" : encodeURIComponent(user);
  if (password !== undefined) account += `:${encodeURIComponent(password)}`;
  const socket = host.startsWith("/");
  if (socket) query.unshift(`host=${encodeURIComponent(host)}`);
  const place = socket ? "localhost" : host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  const path = encodeURIComponent(database ?? user ?? "");
  const tail = query.length > 0 ? `?${query.join("&")}` : "";
  return `postgresql://${account === "" ? "" : `${account}@`}${place}:${number}/${path}${tail}`;
}

function sslOf(ssl: PostgresConfig["ssl"]): string[] {
  if (ssl === undefined || ssl === null) return [];
  if (ssl === true) return ["sslmode=verify-full"];
  if (ssl === false) return ["sslmode=disable"];
  if (typeof ssl === "string") {
    if (!MODES.includes(ssl)) throw new Error(`ssl is ${JSON.stringify(ssl)}: it takes ${MODES.join(", ")}`);
    return [`sslmode=${ssl}`];
  }
  const files: [string, string | undefined][] = [
    ["sslrootcert", ssl.ca],
    ["sslcert", ssl.cert],
    ["sslkey", ssl.key],
  ];
  const parts = [`sslmode=${ssl.rejectUnauthorized === false ? "require" : "verify-full"}`];
  for (const [name, path] of files) {
    if (path === undefined) continue;
    if (path.includes("-----BEGIN")) throw new Error(`${name} takes the path of a file, not its text`);
    parts.push(`${name}=${encodeURIComponent(path)}`);
  }
  return parts;
}
