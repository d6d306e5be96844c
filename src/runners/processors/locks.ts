/** Locks that processors share (damocles' ext_locks): each may be held by so many requests at a time. */

/** All locks of a request are taken together or none, so that two requests never wait for each other. */
export class Locks {
  readonly #free: Map<string, number>;

  constructor(limits: Readonly<Record<string, number>>) {
    this.#free = new Map(Object.entries(limits));
  }

  areFree(names: readonly string[]): boolean {
    return [...new Set(names)].every((name) => (this.#free.get(name) ?? 0) > 0);
  }

  /** Takes them; answers how to give them back. Only to be called when they are free. */
  take(names: readonly string[]): () => void {
    const taken = [...new Set(names)];
    for (const name of taken) this.#free.set(name, (this.#free.get(name) ?? 0) - 1);
    return () => {
      for (const name of taken.splice(0)) this.#free.set(name, (this.#free.get(name) ?? 0) + 1);
    };
  }
}
