/** Keeps the chain's head in the database: tickets and deposits are told by epochs. */
import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import { epochNow, setHead } from '../scheduler/head.ts';
import type { Chain } from '../scheduler/ports.ts';
import { sleep } from './machine.ts';

/** The head is asked for once an epoch, but never more often than this. */
const LEAST_WAIT_MS = 1_000;
/** A node that is away is asked again after this. */
const AWAY_WAIT_MS = 10_000;

/** Asks for the head until `ending`, at least `leastWaitMs` apart. What follows from the head that is known is not written again. */
export async function followHead(
  door: Door,
  chain: Pick<Chain, 'head' | 'network'>,
  log: Pick<Logger, 'debug'>,
  ending: AbortSignal,
  leastWaitMs = LEAST_WAIT_MS,
): Promise<void> {
  let epochMs: number | undefined;
  while (!ending.aborted) {
    let waitMs = AWAY_WAIT_MS;
    try {
      const known = epochMs ?? (await chain.network()).epochMs;
      epochMs = known;
      // An answer may lie about while the process stands still: it tells of the time when it was asked for.
      const askedMs = await door.run((ctx) => ctx.nowMs);
      const { epoch } = await chain.head();
      if (ending.aborted) return;
      await door.run((ctx) => {
        const follows = epochNow(ctx);
        const told = epoch + Math.floor(Math.max(0, ctx.nowMs - askedMs) / known);
        if (follows === undefined || Math.abs(follows - told) > 1) setHead(ctx, { epoch, epochMs: known }, askedMs);
      });
      waitMs = Math.max(known, leastWaitMs);
    } catch (error) {
      log.debug({ err: error }, 'the head of the chain could not be read');
    }
    await sleep(waitMs, ending);
  }
}
