/** What `every` takes. Spans count from 1970-01-01T00:00Z, in real time. */
export type ScheduleInterval =
  | "second"
  | `${"two" | "three" | "four" | "five" | "ten" | "fifteen" | "twenty" | "thirty"} seconds`
  | "minute"
  | `${"two" | "three" | "four" | "five" | "ten" | "fifteen" | "twenty" | "thirty"} minutes`
  | "hour"
  | `${"two" | "three" | "four" | "five" | "six" | "seven" | "eight" | "nine" | "ten" | "eleven" | "twelve"} hours`
  | "day"
  | "week"
  | ScheduleIntervalDayOfWeek
  | "month"
  | "last day of month";

/** A day of the week. */
export type ScheduleIntervalDayOfWeek = (typeof WEEKDAYS)[number];

type Hour = `${0 | 1}${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}` | `2${0 | 1 | 2 | 3}`;
type Minute = `${0 | 1 | 2 | 3 | 4 | 5}${0 | 5}`;

/** A time of the day, `"00:00"` to `"23:55"`; `parseTime` takes every minute. */
export type ScheduleIntervalTime = `${Hour}:${Minute}`;

/** When within an interval. */
export interface IntervalCronOptions {
  /** The minute, 0 to 59, of hours and of what is longer. Default: 0. */
  minute?: number;
  /** The hour, 0 to 23, of days and of what is longer. Default: 0. */
  hour?: number;
  /** The day, 1 to 31, of `month`. Default: 1. A month that lacks it is left out. */
  dayOfMonth?: number;
  /** The day of `week` (default: sunday), or the first such day of `month`. */
  dayOfWeek?: ScheduleIntervalDayOfWeek;
}

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"].map(
    (word, place): [string, number] => [word, place + 2],
  ),
  ["fifteen", 15],
  ["twenty", 20],
  ["thirty", 30],
]);

/**
 * The hour and the minute of `"HH:MM"`.
 *
 * @throws Error `Invalid time format` for anything but `00:00` to `23:59`.
 */
export function parseTime(time: ScheduleIntervalTime | (string & {})): [number, number] {
  const parts = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time);
  if (parts === null) {
    throw new Error(`Invalid time format: ${JSON.stringify(time)} (it takes "00:00" to "23:59")`);
  }
  return [Number(parts[1]), Number(parts[2])];
}

/**
 * The cron expression of an interval. It cannot say everything that `every` can: of 5, 7, 8, 9, 10
 * and 11 hours it counts anew at each midnight, so schedules do not go by it.
 *
 * @throws Error if there is no such interval, or an option is out of its range.
 */
export function intervalToCron(interval: ScheduleInterval, options: IntervalCronOptions = {}): string {
  check(options);
  const { minute = 0, hour = 0, dayOfMonth = 1, dayOfWeek } = options;
  const weekday = WEEKDAYS.indexOf(dayOfWeek ?? "sunday");
  const named = WEEKDAYS.indexOf(interval as ScheduleIntervalDayOfWeek);
  if (named >= 0) return `${minute} ${hour} * * ${named}`;
  if (interval === "day") return `${minute} ${hour} * * *`;
  if (interval === "week") return `${minute} ${hour} * * ${weekday}`;
  if (interval === "month") return `${minute} ${hour} ${dayOfWeek ? `* * ${weekday}#1` : `${dayOfMonth} * *`}`;
  if (interval === "last day of month") return `${minute} ${hour} L * *`;
  const words = (interval as string).split(" ");
  const count = words.length === 1 ? 1 : NUMBERS.get(words[0] ?? "");
  const step = count === 1 ? "*" : `*/${count}`;
  const unit = words[words.length - 1]?.replace(/s$/, "");
  if (isInterval(interval) && count !== undefined) {
    if (unit === "second") return `${step} * * * * *`;
    if (unit === "minute") return `${step} * * * *`;
    if (unit === "hour") return `${minute} ${step} * * *`;
  }
  throw new Error(`There is no interval ${JSON.stringify(interval)}: there are ${INTERVALS.join(", ")}`);
}

const SHORT = ["two", "three", "four", "five", "ten", "fifteen", "twenty", "thirty"];

/** Every interval. */
export const INTERVALS: readonly ScheduleInterval[] = [
  "second",
  ...SHORT.map((count) => `${count} seconds`),
  "minute",
  ...SHORT.map((count) => `${count} minutes`),
  "hour",
  ...[...NUMBERS.keys()].slice(0, 11).map((count) => `${count} hours`),
  "day",
  "week",
  ...WEEKDAYS,
  "month",
  "last day of month",
] as ScheduleInterval[];

/** Whether `every` takes it. */
export function isInterval(interval: unknown): interval is ScheduleInterval {
  return INTERVALS.includes(interval as ScheduleInterval);
}

/** Holds options against their ranges. */
export function check(options: IntervalCronOptions): void {
  const ranges: [keyof IntervalCronOptions, number, number][] = [
    ["minute", 0, 59],
    ["hour", 0, 23],
    ["dayOfMonth", 1, 31],
  ];
  for (const [name, least, most] of ranges) {
    const value = options[name];
    if (value === undefined || value === null) continue;
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      throw new Error(`${name} is ${String(value)}: it takes ${least} to ${most}`);
    }
  }
  if (options.dayOfWeek !== undefined && options.dayOfWeek !== null && !WEEKDAYS.includes(options.dayOfWeek)) {
    throw new Error(`dayOfWeek is ${JSON.stringify(options.dayOfWeek)}: it takes ${WEEKDAYS.join(", ")}`);
  }
}
