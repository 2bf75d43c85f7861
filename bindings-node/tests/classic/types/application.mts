// An application of Lavoro 0.4 with other imports: what must compile, and what must not.
import {
  defineConfig,
  Job,
  Queue,
  Schedule,
  type Handle,
  type InferConnectionQueues,
  type InferConnections,
  type InferDefaultConnection,
  type InferQueueNames,
  type InferQueueNamesForConnection,
  type JobContext,
  type LockProvider,
  type Payload,
  type QueueConnectionName,
  type QueueName,
} from "lavoro";
import { memory } from "lavoro/memory";
import { postgres } from "lavoro/postgres";

interface Mail {
  to: string;
  copies?: number;
}

class SendMail extends Job<Mail> {
  override options = { retries: 5, delay: 0, queue: "mail" };

  async handle(payload: Mail): Promise<void> {
    payload.to.toUpperCase();
  }
}

class Resize extends Job<{ path: string }> {
  static override task = "resize_image";

  handle(payload: { path: string }, { signal, attempt }: JobContext): string {
    return signal.aborted ? "" : `${payload.path}${attempt}`;
  }
}

class Tidy extends Job<undefined> {
  handle(): void {}
}

const config = {
  jobs: [SendMail, Resize, Tidy],
  worker: true,
  connection: "main",
  connections: {
    main: { driver: memory(), queues: { default: { concurrency: 1 }, mail: { concurrency: 3 } } },
    background: { driver: postgres({ host: "h", port: 5432, user: "u", password: "p", database: "d" }), queues: { reports: {} } },
  },
} as const;

const queueConfig = defineConfig(config);

declare module "lavoro" {
  interface QueueList extends InferQueueNames<typeof config> {}
  interface DefaultConnection {
    name: InferDefaultConnection<typeof config>;
  }
  interface QueueConnections extends InferConnections<typeof config> {}
  interface ConnectionQueues extends InferConnectionQueues<typeof config> {}
}

declare const never: boolean;

if (never) {
  const queue = new Queue(queueConfig);
  Job.setDefaultQueueServiceResolver(async () => queue);
  await queue.start();

  const handle: Handle = await SendMail.dispatch({ to: "ada" });
  await SendMail.dispatch({ to: "ada" }).onQueue("mail").delay("5 minutes").priority(1).uniqueKey("ada").maxAttempts(2).timeout(500);
  await Resize.dispatch({ path: "a" }).onConnection("background").onQueue("reports").at(new Date());
  await Tidy.dispatch();
  await handle.result({ timeout: "5s" });
  await handle.cancel();
  await SendMail.dispatch({ to: "ada" }).using({ executeSql: async () => ({ rows: [] }) });

  // @ts-expect-error the payload lacks a member
  SendMail.dispatch({});
  // @ts-expect-error the payload is missing
  SendMail.dispatch();
  // @ts-expect-error there is no such queue
  SendMail.dispatch({ to: "ada" }).onQueue("typo");
  // @ts-expect-error a queue of another connection
  SendMail.dispatch({ to: "ada" }).onQueue("reports");
  // @ts-expect-error there is no such connection
  SendMail.dispatch({ to: "ada" }).onConnection("typo");
  // @ts-expect-error a queue of the default connection
  SendMail.dispatch({ to: "ada" }).onConnection("background").onQueue("mail");

  await Schedule.call("tidy", async () => {}).every("day").at("07:30");
  await Schedule.call("tidy", () => {}).every("week", { hour: 9 }).on("monday").lockFor("10s").overlapping();
  await Schedule.job(SendMail, { to: "ada" }).onConnection("background").onQueue("reports").cron("0 9 * * *");
  await Schedule.job(Tidy).every("last day of month").timeZone("Europe/Rome");
  // @ts-expect-error there is no such interval
  Schedule.call("tidy", () => {}).every("six seconds");
  // @ts-expect-error no time of the day
  Schedule.call("tidy", () => {}).at("25:00");
  // @ts-expect-error the payload lacks a member
  Schedule.job(SendMail, {});
  // @ts-expect-error there is no such queue
  Schedule.job(Tidy).onQueue("typo");

  queue.on("error", (error) => error.message);
  queue.on("job:start", (job, payload) => [job.id, payload]);
  queue.on("job:progress", (job, payload, elapsed: number) => [job.name, payload, elapsed]);
  queue.on("job:error", (error, job, payload) => [error.message, job.id, payload]);
  // @ts-expect-error there is no such event
  queue.on("job:unknown", () => {});

  const names: QueueName[] = ["default", "mail", "reports"];
  const connections: QueueConnectionName[] = ["main", "background"];
  const mail: Payload<SendMail> = { to: "ada" };
  const ofMain: InferQueueNamesForConnection<typeof config, "main"> = "mail";
  // @ts-expect-error a queue of another connection
  const wrong: InferQueueNamesForConnection<typeof config, "main"> = "reports";

  const locks: LockProvider = queue.getLockProvider("main");
  const lock = locks.createLock("key", "10s");
  if (await lock.acquireImmediately()) await lock.extend("10s");
  const [done, value]: [true, number] | [false, null] = await lock.run(() => 1);
  await queue.stop({ graceful: true, timeout: 1000 });

  // @ts-expect-error the default connection is none of them
  defineConfig({ jobs: [], connection: "typo", connections: { main: { driver: memory(), queues: { default: {} } } } });
  // @ts-expect-error there is no such option
  postgres({ hots: "h" });
}
