/** Which kind of PoRep a new sector gets. It enters the replica, so it is chosen when the sector gets its number. */
import type { Job } from '../schema/job.ts';
import { type SealProof, syntheticOf } from '../schema/seal-proof.ts';
import type { Context, MinerSettings } from './context.ts';

/**
 * Synthetic PoRep where a rented runner may do PC2: what C1 needs is then so little that the host can be let go before the
 * pre-commit. Sectors with client data stay on own machines, which wait for the seed at no price.
 */
export function proofAtAllocate(ctx: Context, job: Job, { synthetic }: MinerSettings): SealProof {
  const { sealProof, pieces } = job.data;
  if (synthetic !== 'rented' || pieces.length > 0) return sealProof;
  const aliveSinceMs = ctx.nowMs - ctx.settings.pollMs - ctx.settings.leaseMs;
  return ctx.tx.anyRented('PC2', aliveSinceMs) ? syntheticOf(sealProof) : sealProof;
}
