/**
 * New connections before transactions. Node takes one new connection in each turn of its event loop (libuv since 1.45). With a
 * transaction in every turn, thousands of runners that come back at once, or need a second connection for their heartbeats, would
 * wait for minutes while their leases run out.
 */
export class Accepting {
  #taken = false;

  /** A connection was taken. */
  taken(): void {
    this.#taken = true;
  }

  /** Whether one was taken since this was asked last: there may be more. */
  readonly more = (): boolean => {
    const taken = this.#taken;
    this.#taken = false;
    return taken;
  };
}
