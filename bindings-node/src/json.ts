import { LavoroError } from "./errors.js";

/**
 * A value as JSON text, as `JSON.stringify` writes it: `undefined` at the top is `null`, a `Date`
 * is a string, `-0` is `0`, and members that are `undefined` or functions are left out.
 *
 * @throws LavoroError `invalid_payload` for cycles and bigints; `number_out_of_range` for NaN and
 * infinite numbers, which `JSON.stringify` would turn into `null` without a word.
 */
export function toJson(value: unknown, what: string): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    const message = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new LavoroError("invalid_payload", `the ${what} cannot be written as JSON: ${message}`, { cause: error });
  }
  if (text === undefined) {
    if (value === undefined) return "null";
    throw new LavoroError("invalid_payload", `the ${what} is a ${typeof value}: it cannot be written as JSON`);
  }
  // Numbers that are none become null, and only then.
  if (text.includes("null")) {
    const path = findNoNumber(value, what);
    if (path !== null) {
      throw new LavoroError("number_out_of_range", `${path} is not a finite number: JSON has none such`);
    }
  }
  return text;
}

/** The path of the first number that is NaN or infinite. The value has no cycles. */
function findNoNumber(value: unknown, path: string): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : path;
  if (typeof value !== "object" || value === null) return null;
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return null;
  for (const [key, member] of Object.entries(value)) {
    const found = findNoNumber(member, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}

/** A handler's result as JSON text, or a note in its place; `undefined`: there is none. */
export function resultToJson(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  let why: string;
  try {
    const text = JSON.stringify(value);
    if (text !== undefined) return wellFormed(text);
    why = `a ${typeof value} cannot be written as JSON`;
  } catch (error) {
    why = (error instanceof Error ? error.message.split("\n")[0] : undefined) ?? "it cannot be written as JSON";
  }
  return JSON.stringify({ lavoro_note: `not stored: ${why}` });
}

/** JSON text whose lone surrogates, which only its escapes can hold, are replaced. */
function wellFormed(json: string): string {
  if (!json.includes("\\ud")) return json;
  return json.replace(/\\\\|\\ud[0-9a-f]{3}/g, (escape) => (escape === "\\\\" ? escape : "\\ufffd"));
}

/**
 * Text that is passed on as it is, rather than as JSON.
 *
 * @throws LavoroError with this code if it is no text, or holds a lone surrogate.
 */
export function plainText(value: unknown, code: string, what: string): string {
  if (typeof value !== "string") throw new LavoroError(code, `the ${what} takes a string, not a ${typeof value}`);
  if (/\p{Surrogate}/u.test(value)) {
    throw new LavoroError(code, `the ${what} ${JSON.stringify(value)} holds half of a surrogate pair`);
  }
  return value;
}

/** What was thrown, as text for people: stacks of errors and of their causes. */
export function errorText(thrown: unknown): string {
  try {
    return describe(thrown, 0);
  } catch {
    return "something was thrown that cannot be shown";
  }
}

function describe(thrown: unknown, depth: number): string {
  if (!(thrown instanceof Error)) {
    if (typeof thrown === "object" && thrown !== null) {
      const own = (thrown as { message?: unknown }).message;
      if (typeof own === "string") return own;
      return `an object was thrown: ${JSON.stringify(thrown)}`;
    }
    return typeof thrown === "string" ? thrown : `${String(thrown)} was thrown`;
  }
  const text = typeof thrown.stack === "string" && thrown.stack !== "" ? thrown.stack : String(thrown);
  if (thrown.cause === undefined || depth >= 5) return text;
  return `${text}\ncaused by: ${describe(thrown.cause, depth + 1)}`;
}
