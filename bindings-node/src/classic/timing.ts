import type { ScheduleOptions } from "./engine.js";
import {
  check,
  INTERVALS,
  type IntervalCronOptions,
  isInterval,
  parseTime,
  type ScheduleInterval,
  type ScheduleIntervalDayOfWeek,
  type ScheduleIntervalTime,
} from "./interval.js";

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const LONG = ["day", "week", ...WEEKDAYS, "month", "last day of month"];

/** When a schedule fires, as it is put together call by call. */
export class Timing {
  private pattern: string | undefined;
  private interval: ScheduleInterval = "day";
  private options: IntervalCronOptions = {};

  /** Whether anything has been said. */
  isSet = false;

  cron(pattern: string): void {
    this.isSet = true;
    this.pattern = pattern;
  }

  every(interval: ScheduleInterval, options: IntervalCronOptions = {}): void {
    if (!isInterval(interval)) {
      throw new Error(`There is no interval ${JSON.stringify(interval)}: there are ${INTERVALS.join(", ")}`);
    }
    check(options);
    this.isSet = true;
    this.pattern = undefined;
    this.interval = interval;
    this.options = { ...this.options, ...options };
  }

  on(dayOfWeek: ScheduleIntervalDayOfWeek): void {
    if (this.interval !== "week" && this.interval !== "month") {
      throw new Error(
        `.on() can only be used for weekly intervals or larger. Current interval: '${this.interval}'`,
      );
    }
    check({ dayOfWeek });
    this.isSet = true;
    this.pattern = undefined;
    this.options = { ...this.options, dayOfWeek };
  }

  at(time: ScheduleIntervalTime): void {
    if (!LONG.includes(this.interval)) {
      throw new Error(
        `.at() can only be used for daily intervals or larger. Current interval: '${this.interval}'`,
      );
    }
    const [hour, minute] = parseTime(time);
    this.isSet = true;
    this.pattern = undefined;
    this.options = { ...this.options, hour, minute };
  }

  /** As the engine takes it. What says nothing of the interval is left out. */
  when(): ScheduleOptions {
    if (this.pattern !== undefined) return { cron: this.pattern };
    const { hour, minute, dayOfMonth, dayOfWeek } = this.options;
    const every = this.interval;
    if (/second|minute/.test(every)) return { every };
    if (/hour/.test(every)) return { every, minute };
    if (every === "month" && dayOfWeek === undefined) return { every, hour, minute, dayOfMonth };
    if (every === "month" || every === "week") return { every, hour, minute, on: dayOfWeek };
    return { every, hour, minute };
  }
}
