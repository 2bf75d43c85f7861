/** `lavoro/memory`: the driver for a throw-away PostgreSQL. */
export { memory, type MemoryConfig } from "./driver.js";
