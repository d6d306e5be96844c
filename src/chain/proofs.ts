/** Seal proofs as the chain numbers them, and how long their proof bytes are. */
import { SealProof, type SealProofInfo, sealProofInfo } from '../schema/seal-proof.ts';

const BY_NUMBER = new Map<number, SealProof>(SealProof.options.map((name) => [sealProofInfo(name).number, name]));

/** The name of a registered seal proof by its number on chain, or `undefined` when it is not one we seal. */
export function sealProofByNumber(number: number): SealProof | undefined {
  return BY_NUMBER.get(number);
}

/** Number, sizes and layers of a registered seal proof, or `undefined`. */
export function sealProofInfoByNumber(number: number): SealProofInfo | undefined {
  const name = BY_NUMBER.get(number);
  return name === undefined ? undefined : sealProofInfo(name);
}

/**
 * Bytes of one PoRep proof: 192 for one partition (up to 512 MiB), 1,920 for the ten of 32 and 64 GiB.
 * The synthetic variants have the same.
 */
export function porepProofBytes(sectorSizeBytes: number): number {
  return sectorSizeBytes <= 2 ** 29 ? 192 : 1920;
}

/** How many sectors a Window PoSt partition holds (go-state-types `abi/sector.go`). */
export function partitionSectors(sectorSizeBytes: number): number {
  if (sectorSizeBytes === 2 ** 35) return 2349;
  return sectorSizeBytes === 2 ** 36 ? 2300 : 2;
}
