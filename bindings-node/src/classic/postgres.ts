/** `lavoro/postgres`: the driver for a PostgreSQL server. */
export { postgres, type PostgresConfig, type SslMode } from "./driver.js";
