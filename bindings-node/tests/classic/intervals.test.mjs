// When schedules fire: every interval, in UTC.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { classic, createLavoro, dist, end, server } from "./support.mjs";

const require = createRequire(import.meta.url);
const { Timing } = require(`${dist}/classic/timing.js`);
const { INTERVALS } = require(`${dist}/classic/interval.js`);
const { intervalToCron } = classic;

const AFTER = new Date("2026-02-26T22:59:58.500Z");
const NUMBERS = { two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7, eight: 8, nine: 9, ten: 10, eleven: 11, twelve: 12, fifteen: 15, twenty: 20, thirty: 30 };
const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/** Hours that do not divide a day: cron counts them anew at midnight, schedules do not. */
const UNEVEN = ["five hours", "seven hours", "nine hours", "ten hours", "eleven hours"];

let lavoro;
before(async () => (lavoro = createLavoro({ url: await server() })));
after(async () => {
  await lavoro.close();
  await end();
});

const preview = (when, count = 4) => lavoro.schedules.preview({ name: "p", task: "t", ...when }, { after: AFTER, count });

function timing(build) {
  const timing = new Timing();
  build(timing);
  return timing.when();
}

/** Whether an interval has a slot at this instant, said once more and in other words. */
function fires(interval, at) {
  const words = interval.split(" ");
  const unit = words.at(-1).replace(/s$/, "");
  const seconds = Math.round(at.getTime() / 1000);
  const span = { second: 1, minute: 60, hour: 3600 }[unit];
  if (span) return seconds % (span * (words.length === 1 ? 1 : NUMBERS[words[0]])) === 0;
  if (seconds % 86_400 !== 0) return false;
  const [day, date] = [at.getUTCDay(), at.getUTCDate()];
  if (interval === "day") return true;
  if (interval === "week") return day === 0;
  if (interval === "month") return date === 1;
  if (interval === "last day of month") return new Date(at.getTime() + 86_400_000).getUTCDate() === 1;
  return WEEKDAYS[day] === interval;
}

test("there are 41 intervals, and each fires when it says", async () => {
  assert.equal(INTERVALS.length, 41);
  assert.equal(new Set(INTERVALS).size, 41);
  for (const interval of INTERVALS) {
    const step = interval.includes("second") ? 1000 : 60_000;
    const expected = [];
    let at = new Date(Math.ceil(AFTER.getTime() / step) * step);
    for (; expected.length < 4; at = new Date(at.getTime() + step)) if (fires(interval, at)) expected.push(at);
    assert.deepEqual(await preview(timing((t) => t.every(interval))), expected, interval);
  }
});

test("a cron expression says the same of every interval that divides its day", async () => {
  for (const interval of INTERVALS.filter((interval) => !UNEVEN.includes(interval))) {
    const options = { hour: 7, minute: 35 };
    const when = timing((t) => t.every(interval, options));
    assert.deepEqual(await preview({ cron: intervalToCron(interval, options) }), await preview(when), interval);
  }
  assert.equal(intervalToCron("month", { dayOfWeek: "monday", hour: 9 }), "0 9 * * 1#1");
  assert.equal(intervalToCron("week", { dayOfWeek: "friday", minute: 5 }), "5 0 * * 5");
  assert.equal(intervalToCron("two seconds"), "*/2 * * * * *");
  assert.throws(() => intervalToCron("six seconds"), /There is no interval "six seconds"/);
  assert.throws(() => intervalToCron("day", { hour: 24 }), /hour is 24: it takes 0 to 23/);
});

test("on and at make them more exact", async () => {
  const first = async (build) => (await preview(timing(build), 1))[0].toISOString();
  assert.equal(await first((t) => t.at("23:00")), "2026-02-26T23:00:00.000Z");
  assert.equal(await first((t) => (t.every("week"), t.on("monday"), t.at("09:30"))), "2026-03-02T09:30:00.000Z");
  assert.equal(await first((t) => (t.every("month"), t.on("tuesday"))), "2026-03-03T00:00:00.000Z");
  assert.equal(await first((t) => (t.every("last day of month"), t.at("18:00"))), "2026-02-28T18:00:00.000Z");
  assert.equal(await first((t) => t.every("month", { dayOfMonth: 15, hour: 4 })), "2026-03-15T04:00:00.000Z");
  assert.equal(await first((t) => t.every("month", { dayOfMonth: 15, dayOfWeek: "sunday" })), "2026-03-01T00:00:00.000Z");
  assert.equal(await first((t) => t.every("hour", { minute: 15, hour: 3 })), "2026-02-26T23:15:00.000Z");
  assert.equal(await first((t) => t.every("day", { dayOfWeek: "sunday", hour: 1 })), "2026-02-27T01:00:00.000Z");
  assert.equal(await first((t) => t.cron("30 59 22 * * *")), "2026-02-27T22:59:30.000Z");
  assert.throws(() => timing((t) => t.every("fortnight")), /There is no interval "fortnight"/);
});
