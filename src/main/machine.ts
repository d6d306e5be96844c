/** Clock, ids and timers of this machine, behind the core's ports. */
import { randomBytes, randomInt } from 'node:crypto';
import type { Clock, Ids } from '../scheduler/ports.ts';

export const systemClock: Clock = { now: () => Date.now() };

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
/** 36^16 ids: never to meet again. */
const ID_DIGITS = 16;

export const randomIds: Ids = {
  next: (prefix) => `${prefix}-${Array.from({ length: ID_DIGITS }, () => DIGITS[randomInt(36)]).join('')}`,
  hex: (bytes) => randomBytes(bytes).toString('hex'),
};

/** Resolves after `ms` or when the signal aborts; never rejects. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
