/** Which kind of PoRep a new sector gets. It enters the replica, so it is chosen when the sector gets its number. */
import type { Job } from '../schema/job.ts';
import { type SealProof, syntheticOf } from '../schema/seal-proof.ts';
import type { Context, MinerSettings } from './context.ts';

/** Runners read at a time. */
const PAGE = 50;

/**
 * Synthetic PoRep where a rented runner may do PC2: what C1 needs is then so little that the host can be let go before the
 * pre-commit. Sectors with client data stay on own machines, which wait for the seed at no price.
 */
export function proofAtAllocate(ctx: Context, job: Job, { synthetic }: MinerSettings): SealProof {
  const { sealProof, pieces } = job.data;
  return synthetic === 'rented' && pieces.length === 0 && rentsPc2(ctx) ? syntheticOf(sealProof) : sealProof;
}

function rentsPc2(ctx: Context): boolean {
  const aliveSince = ctx.nowMs - ctx.settings.pollMs - ctx.settings.leaseMs;
  for (let skip = 0; ; skip += PAGE) {
    const page = ctx.tx.readyRunners('PC2', aliveSince, PAGE, skip);
    if (page.some(({ trust }) => trust === 'rented')) return true;
    if (page.length < PAGE) return false;
  }
}
