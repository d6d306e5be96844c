/** Parameters of a prove-commit of one sector of zeros, for messages that a client would not sign. */
import { encodeProveCommitSectors3 } from '../../src/chain/params.ts';

/** CBOR of method 34 for one sector without pieces. */
export function provingParams(sectorNumber: number, proof: Uint8Array): Uint8Array {
  return encodeProveCommitSectors3({
    sectors: [{ sectorNumber, pieces: [] }],
    proofs: [proof],
    aggregateProof: new Uint8Array(),
    aggregateType: null,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
  });
}
