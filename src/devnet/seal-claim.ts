/** What a prove-commit claims: this proof is one for this sector, with the chain's own ticket and seed. */
import { createHash } from 'node:crypto';
import { RANDOMNESS_TAG, randomnessEntropy } from '../chain/derivations.ts';
import { sealProofByNumber } from '../chain/proofs.ts';
import type { SealProof } from '../schema/seal-proof.ts';
import type { Ledger } from './ledger.ts';
import { drawRandomness } from './randomness.ts';
import type { SealStatement } from './replay-proof.ts';
import type { SectorRow } from './sectors.ts';

export type SealClaim = SealStatement & {
  readonly sealProof: SealProof;
  readonly proof: Uint8Array;
  /** The same for the same claim only. */
  readonly key: string;
};

/** The claim that a proof makes for a pre-committed sector. */
export function sealClaim(ledger: Ledger, sector: SectorRow, seedEpoch: number, proof: Uint8Array): SealClaim {
  const miner = `t0${sector.miner}`;
  const entropy = randomnessEntropy(miner);
  const sealProof = sealProofByNumber(sector.sealProof);
  if (sealProof === undefined)
    throw new Error(`sector ${sector.number} is kept with seal proof ${sector.sealProof}, which this chain does not know`);
  const statement: SealStatement = {
    commR: sector.commR,
    commD: sector.commD,
    ticket: drawRandomness(ledger, 'tickets', RANDOMNESS_TAG.SealRandomness, sector.ticketEpoch, entropy),
    seed: drawRandomness(ledger, 'beacon', RANDOMNESS_TAG.InteractiveSealChallengeSeed, seedEpoch, entropy),
    miner,
    number: String(sector.number),
  };
  const key = createHash('sha256')
    .update(JSON.stringify([statement, sealProof]))
    .update(proof)
    .digest('hex');
  return { ...statement, sealProof, proof, key };
}
