/**
 * New connections before transactions. Node takes one new connection in each turn of its event loop (libuv since 1.45). With a
 * transaction in every turn, thousands of runners that come back at once, or need a second connection for their heartbeats, would
 * wait for minutes while their leases run out.
 */
export class Accepting {
  readonly #elapsedMs: () => number;
  #taken = false;
  #sinceMs: number | undefined;

  constructor(elapsedMs = (): number => performance.now()) {
    this.#elapsedMs = elapsedMs;
  }

  /** A connection was taken. */
  taken(): void {
    this.#taken = true;
    this.#sinceMs ??= this.#elapsedMs();
  }

  /** Whether one was taken since this was asked last: there may be more. */
  readonly more = (): boolean => {
    const taken = this.#taken;
    this.#taken = false;
    if (!taken) this.#sinceMs = undefined;
    return taken;
  };

  /** For how long there has been one to take in every turn, in milliseconds: whoever waits behind them cannot be heard. */
  readonly crowdedMs = (): number => (this.#sinceMs === undefined ? 0 : this.#elapsedMs() - this.#sinceMs);
}
