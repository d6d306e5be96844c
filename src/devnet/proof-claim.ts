/**
 * What a message claims with a proof: that it is one for this sector, with the chain's own ticket and seed;
 * or, of an update, one for the step from the replica on chain to the new one.
 */
import { createHash } from 'node:crypto';
import { RANDOMNESS_TAG, randomnessEntropy } from '../chain/derivations.ts';
import { sealProofByNumber } from '../chain/proofs.ts';
import type { SealProof } from '../schema/seal-proof.ts';
import type { Ledger } from './ledger.ts';
import { drawRandomness } from './randomness.ts';
import type { SealStatement, UpdateStatement } from './replay-proof.ts';
import type { SectorRow } from './sectors.ts';

type Claimed = {
  readonly sealProof: SealProof;
  readonly proof: Uint8Array;
  /** The same for the same claim only. */
  readonly key: string;
};

export type SealClaim = SealStatement & Claimed & { readonly kind: 'seal' };
export type UpdateClaim = UpdateStatement & Claimed & { readonly kind: 'update' };
export type ProofClaim = SealClaim | UpdateClaim;

/** The claim that a proof makes for a pre-committed sector. */
export function sealClaim(ledger: Ledger, sector: SectorRow, seedEpoch: number, proof: Uint8Array): SealClaim {
  const miner = `t0${sector.miner}`;
  const entropy = randomnessEntropy(miner);
  const statement: SealStatement = {
    commR: sector.commR,
    commD: sector.commD,
    ticket: drawRandomness(ledger, 'tickets', RANDOMNESS_TAG.SealRandomness, sector.ticketEpoch, entropy),
    seed: drawRandomness(ledger, 'beacon', RANDOMNESS_TAG.InteractiveSealChallengeSeed, seedEpoch, entropy),
    miner,
    number: String(sector.number),
  };
  const sealProof = sealProofOf(sector);
  return { kind: 'seal', ...statement, sealProof, proof, key: keyOf(['seal', statement, sealProof], proof) };
}

/** The claim that a proof makes for the upgrade of an activated sector; commitments in hex. */
export function updateClaim(sector: SectorRow, update: { commR: string; commD: string }, proof: Uint8Array): UpdateClaim {
  const statement: UpdateStatement = {
    commROld: sector.commR,
    commRNew: update.commR,
    commDNew: update.commD,
    miner: `t0${sector.miner}`,
    number: String(sector.number),
  };
  const sealProof = sealProofOf(sector);
  return { kind: 'update', ...statement, sealProof, proof, key: keyOf(['update', statement, sealProof], proof) };
}

function sealProofOf(sector: SectorRow): SealProof {
  const sealProof = sealProofByNumber(sector.sealProof);
  if (sealProof === undefined)
    throw new Error(`sector ${sector.number} is kept with seal proof ${sector.sealProof}, which this chain does not know`);
  return sealProof;
}

function keyOf(about: readonly unknown[], proof: Uint8Array): string {
  return createHash('sha256').update(JSON.stringify(about)).update(proof).digest('hex');
}
