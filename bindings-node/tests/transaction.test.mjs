// Enqueue and complete in the caller's own transaction, through the real libraries.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { drizzle } from "drizzle-orm/node-postgres";
import { drizzle as drizzleJs } from "drizzle-orm/postgres-js";
import { sql as drizzleSql } from "drizzle-orm";
import knexFactory from "knex";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import "reflect-metadata";
import { DataSource } from "typeorm";
import { fromDrizzle, fromKnex, fromKysely, fromPg, fromPostgres, fromTypeorm } from "../dist/index.mjs";
import { code, database, deferred, start, until, url } from "./support.mjs";

// The drivers take the server's socket directory as the host.
const socket = new URL(url);
const host = decodeURIComponent(socket.searchParams.get("host") ?? socket.hostname);
const port = Number(socket.searchParams.get("port") ?? (socket.port || 5432));
const user = decodeURIComponent(socket.searchParams.get("user") ?? socket.username);
const name = socket.pathname.slice(1);
const place = { host, port, user, database: name, password: decodeURIComponent(socket.password) || undefined };

const pool = new pg.Pool({ ...place, max: 2 });
const js = postgres({ ...place, max: 2, onnotice: () => {} });
const knex = knexFactory({ client: "pg", connection: place, pool: { min: 0, max: 2 } });
const kysely = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ ...place, max: 2 }) }) });
const onPg = drizzle(pool);
const onJs = drizzleJs(js);
const typeorm = new DataSource({ type: "postgres", host, port, username: user, database: name, password: place.password, entities: [] });
after(async () => {
  await Promise.all([js.end(), knex.destroy(), kysely.destroy(), typeorm.isInitialized && typeorm.destroy()]);
  await pool.end();
});

/** Each runs the function in a transaction; what it throws rolls back. */
const libraries = {
  pg: async (work) => {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await work(fromPg(client));
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
  "postgres.js": (work) => js.begin((sql) => work(fromPostgres(sql))),
  knex: (work) => knex.transaction((trx) => work(fromKnex(trx))),
  kysely: (work) => kysely.transaction().execute((trx) => work(fromKysely(trx))),
  "drizzle on pg": (work) => onPg.transaction((tx) => work(fromDrizzle(tx, drizzleSql))),
  "drizzle on postgres.js": (work) => onJs.transaction((tx) => work(fromDrizzle(tx, drizzleSql))),
  typeorm: async (work) => {
    if (!typeorm.isInitialized) await typeorm.initialize();
    await typeorm.transaction((manager) => work(fromTypeorm(manager)));
  },
};

const payload = { text: "?, $1, \\? and 'quotes' \"é\"", list: [1, null, { deep: true }] };
const options = { queue: "q?", priority: 2, uniqueKey: "k?$1", tags: ["a", "b?"], metadata: { m: "$2" }, maxAttempts: 3, timeout: "1m" };

for (const [library, transaction] of Object.entries(libraries)) {
  test(`${library}: a job commits or rolls back with its transaction`, async () => {
    const { lavoro } = await database();
    let job;
    await assert.rejects(
      transaction(async (tx) => {
        job = await lavoro.enqueue("t", payload, { ...options, using: tx });
        throw new Error("changed my mind");
      }),
      /changed my mind/,
    );
    await assert.rejects(job.info(), code("job_not_found"));
    let second;
    await transaction(async (tx) => {
      job = await lavoro.enqueue("t", payload, { ...options, using: tx });
      second = await lavoro.enqueue("t", payload, { ...options, using: tx });
      await lavoro.enqueue("t", null, { queue: "later", delay: "1h", using: tx });
    });
    assert.deepEqual([job.isNew, second.isNew, second.id], [true, false, job.id]);
    const info = await job.info();
    assert.deepEqual(
      [info.payload, info.queue, info.priority, info.tags, info.metadata, info.maxAttempts, info.timeoutMs, info.uniqueKey],
      [payload, "q?", 2, ["a", "b?"], { m: "$2" }, 3, 60_000, "k?$1"],
    );
    await start(lavoro, { t: (received) => received }, { queues: { "q?": 1 } });
    assert.deepEqual(await job.result(), payload);
    assert.equal(await lavoro.jobs.count({ state: "scheduled" }), 1);
  });

  test(`${library}: a completion commits or rolls back with its transaction`, async () => {
    const { lavoro } = await database();
    const late = deferred();
    await start(lavoro, {
      t: async (fails, job) => {
        await transaction(async (tx) => {
          await job.completeIn(tx, { by: "transaction" });
          if (fails && job.attempt === 1) throw new Error("rolled back");
        });
        return { by: "return" };
      },
      stale: async (_, job) => {
        await until("the timeout is recorded", async () => (await lavoro.job(job.id).state()) === "discarded");
        late.resolve(await transaction((tx) => job.completeIn(tx)).catch((error) => error));
      },
    });
    assert.deepEqual(await (await lavoro.enqueue("t", false)).result(), { by: "transaction" });
    const again = await lavoro.enqueue("t", true, { backoff: { kind: "fixed", base: 10 } });
    assert.deepEqual(await again.result(), { by: "transaction" });
    assert.equal((await again.info()).attempt, 2);
    const stale = await lavoro.enqueue("stale", null, { timeout: 50, maxAttempts: 1 });
    assert.equal((await stale.outcome()).state, "discarded");
    assert.equal((await late.promise).code, "stale_lease");
  });
}

test("a job that is wrong is refused before anything is sent", async () => {
  const { lavoro } = await database();
  const using = { executeSql: () => assert.fail("something was sent") };
  await assert.rejects(lavoro.enqueue("", 1, { using }), code("invalid_task"));
  await assert.rejects(lavoro.enqueue("t", "x".repeat(2 ** 20), { using }), code("payload_too_large"));
  await assert.rejects(lavoro.enqueue("t", 1, { using, delay: -1 }), code("invalid_time"));
});
