/** Completions of one upload at a time: a call while another completes the same upload waits for that one. */
export class Completions {
  readonly #running = new Map<string, Promise<void>>();

  /** Calls `complete` once those before it have ended. What one was refused for may not hold for the next: each is judged on its own. */
  async inTurn(uploadId: string, complete: () => Promise<void>): Promise<void> {
    const before = this.#running.get(uploadId) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(complete);
    this.#running.set(uploadId, mine);
    try {
      await mine;
    } finally {
      if (this.#running.get(uploadId) === mine) this.#running.delete(uploadId);
    }
  }
}
