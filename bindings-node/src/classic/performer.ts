import { Outcome, type Context } from "./engine.js";
import { asError, type QueueEvents } from "./events.js";
import type { Job } from "./job.js";
import type { JobClass, QueueConnectionName } from "./types.js";

/** How often `job:progress` is told. */
const SECOND = 1000;

type Tell = <K extends keyof QueueEvents>(event: K, ...args: QueueEvents[K]) => void;

/** Runs one attempt of a job class, and tells how it goes. */
export async function perform(
  kind: JobClass,
  connection: string,
  payload: unknown,
  context: Context,
  tell: Tell,
): Promise<unknown> {
  const job: Job<any> = new kind();
  job.connection = connection as QueueConnectionName;
  job.queue = context.queue;
  job.id = context.id;
  const began = performance.now();
  const progress = () => tell("job:progress", job, payload, Math.round(performance.now() - began));
  tell("job:start", job, payload);
  const timer = setInterval(progress, SECOND);
  try {
    const result: unknown = await job.handle(payload, context);
    const decided = result instanceof Outcome ? result : context.decided;
    if (decided === undefined) tell("job:complete", job, payload);
    else if (isFailure(decided)) tell("job:error", decided, job, payload);
    return result;
  } catch (thrown) {
    if (!(thrown instanceof Outcome) || isFailure(thrown)) tell("job:error", asError(thrown), job, payload);
    throw thrown;
  } finally {
    clearInterval(timer);
    tell("job:finish", job, payload);
  }
}

/** Whether the handler said that it has failed; not now, or no longer wanted, is no failure. */
function isFailure(outcome: Outcome): boolean {
  const { outcome: kind } = JSON.parse(outcome.json) as { outcome: string };
  return kind === "retry" || kind === "fail";
}
