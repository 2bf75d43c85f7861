/**
 * A connection of the caller's, in a transaction of the caller's. Values are text or null.
 * `fromPg` and its kin make one of what libraries have; for another library write this one
 * function.
 */
export interface SqlExecutor {
  /** Runs one statement with `$1`, `$2`, … */
  executeSql(text: string, values: (string | null)[]): Promise<{ rows: unknown[] }>;
}
