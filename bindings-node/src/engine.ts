import { LavoroError, native } from "./errors.js";
import { load, type NativeClient } from "./native.js";
import { answer } from "./options.js";

/** The native client, connected when it is first needed. */
export class Engine {
  #client: Promise<NativeClient> | undefined;
  #closed = false;

  constructor(readonly options: string) {}

  /** Connects, or answers the connection. A failed attempt is made again by the next call. */
  client(): Promise<NativeClient> {
    if (this.#closed) return Promise.reject(new LavoroError("closed", "the client has been closed"));
    if (this.#client === undefined) {
      const connecting = native(load().connect(this.options));
      this.#client = connecting;
      connecting.catch(() => {
        if (this.#client === connecting && !this.#closed) this.#client = undefined;
      });
    }
    return this.#client;
  }

  /** Calls a method of the engine by its name. */
  async call<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
    return answer(await this.raw(method, args)) as T;
  }

  /** As `call`, with names as the engine has them. */
  async raw(method: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const client = await this.client();
    return JSON.parse(await native(client.call(method, JSON.stringify(args))));
  }

  /** Closes the connection, if there is one. */
  async close(): Promise<void> {
    this.#closed = true;
    const client = await this.#client?.catch(() => undefined);
    if (client !== undefined) await native(client.close());
  }
}
