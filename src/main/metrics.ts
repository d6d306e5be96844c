/** What `/metrics` shows: the database is asked at most every few seconds, the node every minute. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import type { Balances } from '../chain/balances.ts';
import { type Metrics, openMetrics } from '../metrics/open.ts';
import type { Money, Standing } from '../metrics/standing.ts';
import type { Context } from '../scheduler/context.ts';
import { epochNow } from '../scheduler/head.ts';
import { PROVE_COMMIT_WITHIN } from '../scheduler/live-message.ts';
import { MinerId } from '../schema/ids.ts';
import { sleep } from './machine.ts';

/** Counting 100,000 jobs takes 20 ms in which nothing else is served: however many scrape, once in so long. */
const KEPT_MS = 5_000;
/** And where counting takes longer, no more than this part of the time goes into it. */
const MOST_SHARE = 1 / 100;
const BALANCES_EVERY_MS = 60_000;
const ATTO = 1e18;

/** The registry over this database; `money` is filled by `followBalances`. */
export function metricsOf(door: Door, money: () => readonly Money[]): Metrics {
  let kept: { untilMs: number; readonly standing: Promise<Standing> } | undefined;
  const standing = (): Promise<Standing> => {
    if (kept !== undefined && performance.now() < kept.untilMs) return kept.standing;
    let tookMs = 0;
    const read = door.run((ctx) => {
      const beganMs = performance.now();
      const found = standingOf(ctx);
      tookMs = performance.now() - beganMs;
      return found;
    });
    const asked = { untilMs: Number.POSITIVE_INFINITY, standing: read };
    kept = asked;
    read.then(
      () => {
        asked.untilMs = performance.now() + Math.max(KEPT_MS, tookMs / MOST_SHARE);
      },
      () => {
        // A failure is no standing: the next scrape asks again.
        kept = undefined;
      },
    );
    return read;
  };
  return openMetrics({ version: packageVersion(), standing, money });
}

/** Everything in one transaction, so that the numbers belong together. */
export function standingOf(ctx: Context): Standing {
  const { tx } = ctx;
  const open = new Map(tx.countOpenDeliveries().map((row) => [row.webhook, row]));
  const headEpoch = epochNow(ctx);
  const landed = tx.firstUnproven();
  return {
    sectors: tx.countSectors(),
    queue: tx.countQueued(),
    running: tx.runningByThread(),
    runners: tx.runners(),
    effects: tx.countOpenEffects(),
    webhooks: tx.webhooks().map(({ id }) => ({ webhook: id, count: open.get(id)?.count ?? 0, oldestMs: open.get(id)?.oldestMs })),
    proveWithinEpochs: landed === undefined || headEpoch === undefined ? undefined : landed + PROVE_COMMIT_WITHIN - headEpoch,
    headEpoch,
    nowMs: ctx.nowMs,
  };
}

/** Asks for the miners' balances until `ending`; `told` gets what the node answered, of a miner that it does not tell of nothing. */
export async function followBalances(
  chain: Balances,
  miners: readonly string[],
  told: (money: readonly Money[]) => void,
  log: Logger,
  ending: AbortSignal,
): Promise<void> {
  while (!ending.aborted) {
    const asked = await Promise.allSettled(miners.map((miner) => chain.balances(MinerId.parse(miner))));
    if (ending.aborted) return;
    for (const one of asked) if (one.status === 'rejected') log.debug({ err: one.reason as unknown }, 'balances could not be read');
    const balances = asked.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    told(balances.map(({ address, kind, attoFil }) => ({ address, kind, fil: Number(attoFil) / ATTO })));
    await sleep(BALANCES_EVERY_MS, ending);
  }
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string };
  return version;
}
