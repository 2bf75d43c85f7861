import { LavoroError } from "./errors.js";
import { load } from "./native.js";

/**
 * A connection of the caller's, in a transaction of the caller's. Values are text or null.
 * `fromPg` and its kin make one of what libraries have; for another library write this one
 * function.
 */
export interface SqlExecutor {
  /** Runs one statement with `$1`, `$2`, … */
  executeSql(text: string, values: (string | null)[]): Promise<{ rows: unknown[] }>;
}

/** What `fromPg` takes: a client of `pg` that has begun a transaction (not a pool). */
export interface PgClient {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/** A transaction of `pg` (node-postgres): a client that has sent `BEGIN`. */
export function fromPg(client: PgClient): SqlExecutor {
  return { executeSql: async (text, values) => ({ rows: (await client.query(text, values)).rows }) };
}

/** A transaction of postgres.js: what `sql.begin(async (sql) => …)` hands out. */
export function fromPostgres(sql: {
  unsafe(text: string, values: any[]): PromiseLike<readonly unknown[]>;
}): SqlExecutor {
  return { executeSql: async (text, values) => ({ rows: [...(await sql.unsafe(text, values))] }) };
}

/** A transaction of knex: what `knex.transaction(async (trx) => …)` hands out. */
export function fromKnex(trx: { raw(text: string, values: any): PromiseLike<any> }): SqlExecutor {
  return {
    async executeSql(text, values) {
      const { parts, order } = split(text);
      const quoted = parts.map((part) => part.replaceAll("?", "\\?"));
      const bindings = order.map((place) => values[place] ?? null);
      return { rows: (await trx.raw(quoted.join("?"), bindings)).rows };
    },
  };
}

/** A transaction of kysely: what `db.transaction().execute(async (trx) => …)` hands out. */
export function fromKysely(trx: { executeQuery(query: any): Promise<{ rows: unknown[] }> }): SqlExecutor {
  return {
    async executeSql(text, values) {
      const query = { kind: "RawNode", sqlFragments: [text], parameters: [] };
      const { rows } = await trx.executeQuery({ sql: text, parameters: values, query, queryId: { queryId: "lavoro" } });
      return { rows };
    },
  };
}

/** What `fromDrizzle` takes as `sql`: the export of that name of `drizzle-orm`. */
export interface DrizzleSql {
  raw(text: string): any;
  param(value: unknown): any;
  join(chunks: any[]): any;
}

/** A transaction of drizzle: what `db.transaction(async (tx) => …)` hands out, and its `sql`. */
export function fromDrizzle(tx: { execute(query: any): PromiseLike<any> }, sql: DrizzleSql): SqlExecutor {
  return {
    async executeSql(text, values) {
      const { parts, order } = split(text);
      const chunks = parts.flatMap((part, index) => {
        const place = order[index];
        return place === undefined ? [sql.raw(part)] : [sql.raw(part), sql.param(values[place] ?? null)];
      });
      const answer: unknown = await tx.execute(sql.join(chunks));
      return { rows: Array.isArray(answer) ? [...answer] : (answer as { rows: unknown[] }).rows };
    },
  };
}

/** A transaction of TypeORM: what `source.transaction(async (manager) => …)` hands out. */
export function fromTypeorm(manager: { query(text: string, values?: any[]): Promise<any> }): SqlExecutor {
  return { executeSql: async (text, values) => ({ rows: (await manager.query(text, values)) as unknown[] }) };
}

/** The text between placeholders, and which parameter stands after each part but the last. */
function split(text: string): { parts: string[]; order: number[] } {
  const pieces = text.split(/\$(\d+)/);
  return {
    parts: pieces.filter((_, index) => index % 2 === 0),
    order: pieces.filter((_, index) => index % 2 === 1).map((place) => Number(place) - 1),
  };
}

/** Runs a statement of ours; an error of Lavoro's SQL functions becomes one of ours. */
export async function execute(transaction: SqlExecutor, text: string, values: (string | null)[]): Promise<unknown[]> {
  try {
    return (await transaction.executeSql(text, values)).rows;
  } catch (error) {
    throw ofDatabase(error) ?? error;
  }
}

/** Libraries put the driver's error into their own: look a few levels deep. */
function ofDatabase(error: unknown): LavoroError | undefined {
  let inner = error as { code?: unknown; message?: string; cause?: unknown; driverError?: unknown } | undefined;
  for (let depth = 0; depth < 4 && typeof inner === "object" && inner !== null; depth++) {
    const code = typeof inner.code === "string" ? load().sqlstates()[inner.code] : undefined;
    if (code !== undefined) return new LavoroError(code, inner.message ?? code, { cause: error });
    inner = (inner.cause ?? inner.driverError) as typeof inner;
  }
  return undefined;
}
