/**
 * The database that several lives share. Opening it costs as much as a hundred transactions, so a life that a fault
 * ended leaves it open to the next: between two transactions nothing is in memory that a crash would lose. A restart
 * by hand, a failed disk and a restore open it anew.
 */
import { openNodeStore } from '../../src/store/node.ts';
import type { Store } from '../../src/scheduler/ports.ts';

export class KeptStore {
  readonly #path: string;
  #store: Store | undefined;
  #onFatal: () => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** For the next life. `onFatal`: its disk failed; the state of the database is unknown. */
  open(onFatal: () => void): Pick<Store, 'commit'> {
    this.#onFatal = onFatal;
    this.#store ??= openNodeStore({
      path: this.#path,
      onFatal: () => {
        const failed = this.#store;
        this.#store = undefined;
        // Later: its transaction is open right now.
        queueMicrotask(() => failed?.close());
        this.#onFatal();
      },
    });
    return this.#store;
  }

  /** The next life opens it anew. */
  close(): void {
    this.#store?.close();
    this.#store = undefined;
  }
}
