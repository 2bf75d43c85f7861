import { invalidOption } from "./errors.js";

/** Milliseconds, or words: `"90s"`, `"5 minutes"`, `"1h 30m"`. */
export type Duration = number | string;

const UNITS: ReadonlyMap<string, number> = new Map(
  (
    [
      [1, "ms millisecond milliseconds"],
      [1000, "s sec secs second seconds"],
      [60_000, "m min mins minute minutes"],
      [3_600_000, "h hr hrs hour hours"],
      [86_400_000, "d day days"],
      [604_800_000, "w week weeks"],
    ] as const
  ).flatMap(([millis, words]) => words.split(" ").map((word): [string, number] => [word, millis])),
);

const PART = /\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*/y;

/**
 * Whole milliseconds.
 *
 * @throws LavoroError `invalid_option` naming the option.
 */
export function milliseconds(value: unknown, name: string): number {
  const millis = typeof value === "string" ? words(value.toLowerCase()) : value;
  if (typeof millis !== "number" || !Number.isFinite(millis)) {
    const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
    throw invalidOption(`${name} is ${shown}: it takes milliseconds, or words such as "5 minutes"`);
  }
  return Math.round(millis);
}

function words(text: string): number {
  let total = Number.NaN;
  PART.lastIndex = 0;
  for (let end = 0; end < text.length; end = PART.lastIndex) {
    const part = PART.exec(text);
    const unit = UNITS.get(part?.[2] ?? "");
    if (part === null || unit === undefined) return Number.NaN;
    total = (Number.isNaN(total) ? 0 : total) + Number(part[1]) * unit;
  }
  return total;
}
