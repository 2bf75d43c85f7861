import type { Duration } from "./duration.js";
import type { Engine } from "./engine.js";
import { JobEndedError } from "./errors.js";
import { toJson } from "./json.js";
import { convert, EDIT, fields, span } from "./options.js";
import type { JobEdit, JobInfo, JobState, LogLine } from "./types.js";

/** How to wait for a result. */
export interface ResultOptions {
  /** How long. Default: 30 seconds. */
  timeout?: Duration;
}

/** How a job ended. */
export interface JobOutcome<R = any> {
  state: "completed" | "cancelled" | "discarded";
  /** What its handler returned, if it completed. */
  result: R | null;
  /** What its last failed attempt said. */
  error: string | null;
}

const WAIT = fields({ timeout: span("timeout_ms") });

/** One job, to look at, wait for and change. Holds no copy of it. */
export class JobHandle<R = any> {
  readonly #engine: Engine;
  /** The job's number, in decimal digits. */
  readonly id: string;
  /** Whether the enqueue made the job: false if another one holds its unique key. */
  readonly isNew: boolean;

  /** @internal */
  constructor(engine: Engine, id: string, isNew: boolean) {
    this.#engine = engine;
    this.id = id;
    this.isNew = isNew;
  }

  /**
   * Waits until the job has ended, and answers what its handler returned; `null` if nothing.
   *
   * @throws JobEndedError (`invalid_state`) if it was cancelled or discarded; LavoroError
   * `timeout`, `job_not_found`, or what is wrong with the database.
   */
  async result(options?: ResultOptions): Promise<R> {
    const { state, result, error } = await this.outcome(options);
    if (state !== "completed") throw new JobEndedError(this.id, state, error);
    return result as R;
  }

  /**
   * Waits until the job has ended, and answers how.
   *
   * @throws LavoroError `timeout`, `job_not_found`, or what is wrong with the database.
   */
  async outcome(options?: ResultOptions): Promise<JobOutcome<R>> {
    return this.#engine.call("job.result", { id: this.id, ...convert(WAIT, options, "options") });
  }

  /** The job as it stands. @throws LavoroError `job_not_found`. */
  info(): Promise<JobInfo<any, R>> {
    return this.#engine.call("job.info", { id: this.id });
  }

  /** Where the job is in its life. @throws LavoroError `job_not_found`. */
  async state(): Promise<JobState> {
    return (await this.#engine.call<{ state: JobState }>("job.state", { id: this.id })).state;
  }

  /** Why the job does not run: the first thing that would have to go. */
  why(): Promise<{ state: JobState; message: string; [more: string]: unknown }> {
    return this.#engine.call("job.why", { id: this.id });
  }

  /** Lines of its log, oldest first: after the line `after`, at most `limit`. */
  logs(options: { after?: string; limit?: number } = {}): Promise<LogLine[]> {
    return this.#engine.call("job.logs", { id: this.id, ...options });
  }

  /** Cancels the job. Answers `running` if its handler was asked to stop, else `cancelled`. */
  async cancel(): Promise<JobState> {
    return (await this.#engine.call<{ state: JobState }>("job.cancel", { id: this.id })).state;
  }

  /** Makes the job available now. @throws LavoroError `invalid_state`. */
  async retry(): Promise<void> {
    await this.#engine.call("job.retry", { id: this.id });
  }

  /** Deletes the job and its history. @throws LavoroError `invalid_state` while it runs. */
  async delete(): Promise<void> {
    await this.#engine.call("job.delete", { id: this.id });
  }

  /** Changes the job, which must wait. @throws LavoroError `invalid_state`. */
  async edit(edit: JobEdit): Promise<void> {
    await this.#engine.call("job.edit", { id: this.id, edit: editOf(edit) });
  }
}

/** A change as the engine takes it. */
export function editOf(edit: JobEdit): Record<string, unknown> {
  if (edit.payload !== undefined) toJson(edit.payload, "payload");
  return convert(EDIT, edit, "edit");
}
