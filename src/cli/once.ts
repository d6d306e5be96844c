/** A request that makes something, sent so that an answer that was lost on the way costs nothing. */
import { randomUUID } from 'node:crypto';
import { Unreachable } from '../api/client.ts';

/**
 * Sends it with a new idempotency key, and once more with the same key where no answer came: what the first one made is
 * answered then, and made once. Throws what the second one met.
 */
export async function sentOnce<T>(send: (idempotencyKey: string) => Promise<T>): Promise<T> {
  const key = randomUUID();
  try {
    return await send(key);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return send(key);
  }
}
