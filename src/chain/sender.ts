/**
 * One sender per address: never two messages for one key, no gap between nonces.
 * prepare: build → estimate → take the nonce → sign → keep the bytes durably. push: hand over the kept
 * bytes, as often as it takes. Between the two a crash costs nothing: the kept bytes are found again.
 * Trades throughput for that: one message of an address is prepared at a time.
 */
import type { MessageWant, SignedMessage } from '../scheduler/effects.ts';
import type { Chain } from '../scheduler/ports.ts';

/** Where signed messages are kept. Each call is durable before it resolves. */
export type SignedMessages = {
  /** What was signed for this key before, if anything. */
  signedFor(key: string): Promise<SignedMessage | undefined>;
  /** The highest nonce kept for this sender; -1 when none. */
  lastNonce(sender: string): Promise<number>;
  /** Keeps the message under its key. False: the key is no longer wanted, and nothing was kept. */
  keep(key: string, message: SignedMessage): Promise<boolean>;
};

/** Prepares and pushes messages for all addresses of one chain. */
export class MessageSender {
  readonly #chain: Pick<Chain, 'sender' | 'sign' | 'push'>;
  readonly #kept: SignedMessages;
  /** The last preparation per address: the next one waits for it. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(chain: Pick<Chain, 'sender' | 'sign' | 'push'>, kept: SignedMessages) {
    this.#chain = chain;
    this.#kept = kept;
  }

  /**
   * The signed message of `key`, made now or before; `undefined` when the key is no longer wanted.
   * Throws `ChainError` when the node cannot build, estimate or sign: nothing was kept then.
   */
  async prepare(key: string, want: MessageWant): Promise<SignedMessage | undefined> {
    const sender = await this.#chain.sender(want.miner);
    return this.#inTurn(sender, async () => {
      const before = await this.#kept.signedFor(key);
      if (before !== undefined) return before;
      const message = await this.#chain.sign(want, (await this.#kept.lastNonce(sender)) + 1);
      return (await this.#kept.keep(key, message)) ? message : undefined;
    });
  }

  /** Pushes kept bytes; repeating it is no error. */
  async push(message: SignedMessage): Promise<void> {
    await this.#chain.push(message);
  }

  async #inTurn<T>(sender: string, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(sender) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.#queues.set(sender, settled);
    try {
      return await mine;
    } finally {
      if (this.#queues.get(sender) === settled) this.#queues.delete(sender);
    }
  }
}
