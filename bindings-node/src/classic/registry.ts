/** Something that is scheduled in this process. */
export interface ScheduledTask {
  /** Stops it in this process. */
  stop(): void;
}

/** What is scheduled in this process, by name. */
export class ScheduleRegistry {
  private static tasks = new Map<string, ScheduledTask>();

  /** @throws Error if there is one of this name already. */
  static add(name: string, task: ScheduledTask): void {
    if (this.tasks.has(name)) throw new Error(`Cron instance with name '${name}' already exists`);
    this.tasks.set(name, task);
  }

  /** All of them, by name. */
  static all(): Record<string, ScheduledTask> {
    return Object.fromEntries(this.tasks);
  }

  /** The one of this name; or the first of a job's schedules, by `connection_queue_Class`. */
  static get(name: string): ScheduledTask | undefined {
    return this.tasks.get(this.named(name)[0] ?? name);
  }

  /** Stops the one of this name (all schedules of a job, by `connection_queue_Class`), or all. */
  static clear(name?: string): void {
    for (const key of name ? this.named(name) : [...this.tasks.keys()]) {
      const task = this.tasks.get(key);
      this.tasks.delete(key);
      task?.stop();
    }
  }

  /** A job's schedules with payloads differ by what follows a `#`. */
  private static named(name: string): string[] {
    return [...this.tasks.keys()].filter((key) => key === name || key.startsWith(`${name}#`));
  }
}
