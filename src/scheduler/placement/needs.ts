/**
 * What each stage asks of a machine, and how long it takes where nobody has measured it: the usual figures of operators'
 * guides for 32 GiB sectors. Of a range the low end counts as needed, so that only what cannot work is refused.
 */
import { sealProofInfo, type SealProof } from '../../schema/seal-proof.ts';
import type { Stage } from '../../schema/stage.ts';

const GIB = 2 ** 30;
const SIZE_32 = 2 ** 35;

type Row = {
  /** Seconds of a 32 GiB sector, without transfers. */
  readonly seconds: number;
  readonly ramGiB: number;
  /** Null: no card is needed; 0: any will do. */
  readonly vramGiB: number | null;
  /** The size of the sector does not change memory and time: the circuit is the same for 32 and 64 GiB. */
  readonly circuit?: true;
};

const ROWS: Readonly<Record<Stage, Row>> = {
  AddPiece: { seconds: 180, ramGiB: 0.2, vramGiB: null },
  BuildTreeD: { seconds: 60, ramGiB: 0, vramGiB: null },
  // The parents cache alone is 56 GiB.
  PC1: { seconds: 10_800, ramGiB: 56, vramGiB: null },
  PC2: { seconds: 480, ramGiB: 8, vramGiB: 0 },
  C1: { seconds: 1, ramGiB: 1, vramGiB: null },
  C2: { seconds: 600, ramGiB: 30, vramGiB: 10, circuit: true },
  SnapEncode: { seconds: 240, ramGiB: 4, vramGiB: 0 },
  SnapProve: { seconds: 240, ramGiB: 30, vramGiB: 8.2, circuit: true },
  // 3.8 core-hours on four cores.
  CheckSealed: { seconds: 3_420, ramGiB: 0, vramGiB: null },
  // A copy and a read-back of 32 GiB on one disk.
  Persist: { seconds: 360, ramGiB: 0, vramGiB: null },
  Publish: { seconds: 180, ramGiB: 0, vramGiB: null },
  Verify: { seconds: 1, ramGiB: 0, vramGiB: null },
  // It makes the sector's key again, as PC1 does.
  Unseal: { seconds: 10_800, ramGiB: 0, vramGiB: null },
};

/** Bytes that a sector's PC1 hashes: each node of each layer its 37 parents of 32 bytes, and 64 bytes besides. */
const hashedBytes = (sectorSizeBytes: number, layers: number): number => (sectorSizeBytes / 32) * layers * (37 * 32 + 64);

export type Needs = {
  readonly ramBytes: number;
  /** Of one card; null: none is needed. */
  readonly vramBytes: number | null;
  /** What it writes into its work folder, beside the inputs that it has to fetch. */
  readonly outputBytes: number;
  /** How long it takes on a usual machine, transfers left out. */
  readonly usualMs: number;
};

/** What the stage asks for. Below 32 GiB nothing is known to be too small, and times shrink with the size. */
export function needsOf(stage: Stage, proof: SealProof): Needs {
  const { sectorSizeBytes } = sealProofInfo(proof);
  const row = ROWS[stage];
  const share = sectorSizeBytes / SIZE_32;
  const grows = row.circuit === true ? Math.min(1, share) : share;
  const large = sectorSizeBytes >= SIZE_32;
  return {
    ramBytes: large ? row.ramGiB * grows * GIB : 0,
    vramBytes: large && row.vramGiB !== null ? row.vramGiB * GIB : null,
    outputBytes: outputBytes(stage, proof),
    usualMs: row.seconds * grows * 1000,
  };
}

function outputBytes(stage: Stage, proof: SealProof): number {
  const { sectorSizeBytes: size, layers, synthetic } = sealProofInfo(proof);
  switch (stage) {
    case 'AddPiece':
    case 'Unseal':
      return size;
    case 'BuildTreeD':
      return 2 * size;
    case 'PC1':
      return layers * size;
    case 'PC2':
    case 'SnapEncode':
      // The sealed file and 37 GiB of trees for 32 GiB; synthetic proofs are 10.4 GiB.
      return Math.ceil(size * (1 + 37 / 32 + (synthetic ? 10.4 / 32 : 0)));
    default:
      return 0;
  }
}

/** How long PC1 takes on a machine that hashes so fast (SHA-256), between a quarter and twenty times the usual. */
export function pc1Ms(proof: SealProof, hashMbPerSecond: number): number {
  const { sectorSizeBytes, layers } = sealProofInfo(proof);
  const { usualMs } = needsOf('PC1', proof);
  const ms = hashedBytes(sectorSizeBytes, layers) / (Math.max(1e-3, hashMbPerSecond) * 1e3);
  return Math.min(Math.max(ms, usualMs / 4), usualMs * 20);
}
