/** Registered seal and update proofs: names, chain numbers and sizes (go-state-types `abi/sector.go`). */
import { z } from 'zod';

const SIZES = ['2KiB', '8MiB', '512MiB', '32GiB', '64GiB'] as const;
const BYTES = [2 ** 11, 2 ** 23, 2 ** 29, 2 ** 35, 2 ** 36] as const;
const LAYERS = [2, 2, 2, 11, 11] as const;
/** Files a tree-c or tree-r-last is split into; 1 means one file without a suffix. */
const TREE_FILES = [1, 1, 1, 8, 16] as const;

const NAMES = [
  ...SIZES.map((size) => `StackedDrg${size}V1_1` as const),
  ...SIZES.map((size) => `StackedDrg${size}V1_1_Feat_SyntheticPoRep` as const),
];

/** `StackedDrg2KiBV1_1` … `StackedDrg64GiBV1_1_Feat_SyntheticPoRep`. */
export const SealProof = z.enum(NAMES);
export type SealProof = z.infer<typeof SealProof>;

export type SealProofInfo = {
  /** Number on chain: V1_1 5–9, synthetic 10–14. */
  readonly number: number;
  readonly sectorSizeBytes: number;
  readonly layers: number;
  readonly treeFiles: number;
  readonly synthetic: boolean;
  /** Number of the update proof of the same size, 0–4. */
  readonly updateProof: number;
};

/** Numbers and sizes of a seal proof. */
export function sealProofInfo(proof: SealProof): SealProofInfo {
  const at = NAMES.indexOf(proof);
  const size = at % SIZES.length;
  return {
    number: 5 + at,
    sectorSizeBytes: BYTES[size] as number,
    layers: LAYERS[size] as number,
    treeFiles: TREE_FILES[size] as number,
    synthetic: at >= SIZES.length,
    updateProof: size,
  };
}

/** The same proof with synthetic PoRep. */
export function syntheticOf(proof: SealProof): SealProof {
  return NAMES[(NAMES.indexOf(proof) % SIZES.length) + SIZES.length] as SealProof;
}

/** The largest payload of client data that fits a sector: 127 of every 128 bytes (fr32). */
export function payloadBytes(proof: SealProof): number {
  return (sealProofInfo(proof).sectorSizeBytes / 128) * 127;
}
