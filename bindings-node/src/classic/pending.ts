/**
 * Something that is described in a chain of calls and done once: when it is awaited, or else at
 * the end of the current turn.
 */
export abstract class Pending<Result> implements PromiseLike<Result> {
  private outcome: Promise<Result> | undefined;
  private planned = false;

  /** Does it. Called at most once. */
  protected abstract execute(): Promise<Result>;

  /** Does it at the end of the current turn, unless it is awaited before. */
  protected plan(): void {
    if (this.planned) return;
    this.planned = true;
    queueMicrotask(() => void this.start());
  }

  /** Refuses a change that would come too late. */
  protected open(): void {
    if (this.outcome !== undefined) {
      throw new Error("This has begun already: chain all calls where it is made, before any await");
    }
  }

  private start(): Promise<Result> {
    return (this.outcome ??= this.execute());
  }

  /** Does it if it has not begun, and waits for the outcome. */
  then<A = Result, B = never>(
    onfulfilled?: ((value: Result) => A | PromiseLike<A>) | null,
    onrejected?: ((reason: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.start().then(onfulfilled, onrejected);
  }

  /** As of a promise. */
  catch<B = never>(onrejected?: ((reason: any) => B | PromiseLike<B>) | null): Promise<Result | B> {
    return this.start().catch(onrejected);
  }

  /** As of a promise. */
  finally(onfinally?: (() => void) | null): Promise<Result> {
    return this.start().finally(onfinally);
  }
}
