/** The seed of a pre-commit: waited for, then drawn. A sector that is proven has no pre-commit any more, and needs no seed. */
import type { EffectOutcome, EffectWant } from '../scheduler/effects.ts';
import type { Chain } from '../scheduler/ports.ts';
import { failureOf } from './failures.ts';
import { CONFIDENCE_EPOCHS } from './landed.ts';

/** The seed's epoch is asked for at least this often: null rounds shift it. */
const MOST_WAIT_MS = 60_000;

type Asked = Pick<Chain, 'seed' | 'sector' | 'head' | 'network'>;

/** Throws what the chain throws. */
export async function drawSeed({ miner, number }: Extract<EffectWant, { kind: 'seed' }>, chain: Asked): Promise<EffectOutcome> {
  let seed: Awaited<ReturnType<Chain['seed']>>;
  try {
    seed = await chain.seed(miner, number);
  } catch (error) {
    // A message that only a lost database had, or that was published again late, may have proven it.
    const sector = failureOf(error).code === 'no_pre_commit' ? await chain.sector(miner, number) : undefined;
    if (sector === undefined) throw error;
    const missing = sector.activationEpoch + CONFIDENCE_EPOCHS - (await chain.head()).epoch;
    if (missing > 0) return waitFor(missing, `sector ${number} is proven; ${missing} more epochs until that is believed`, chain);
    return { outcome: 'proven', commR: sector.keyCommR ?? sector.commR, epoch: sector.activationEpoch };
  }
  if (!('waitEpochs' in seed)) return { outcome: 'seed', ...seed };
  return waitFor(seed.waitEpochs, `the seed exists in ${seed.waitEpochs} epochs`, chain);
}

async function waitFor(epochs: number, reason: string, chain: Asked): Promise<EffectOutcome> {
  const { epochMs } = await chain.network();
  return { outcome: 'wait', forMs: Math.min(epochs * epochMs, MOST_WAIT_MS), reason };
}
