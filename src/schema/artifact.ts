/** Canonical artifact names (the prover's `PROTOCOL.md`) and how large each may be. */
import { z } from 'zod';
import { type SealProof, sealProofInfo } from './seal-proof.ts';
import { Decimal, Hash } from './units.ts';

/** A canonical name: server-made, never a path that a runner chose. */
export const ArtifactName = z
  .string()
  .regex(/^(?:(?:cache|update-cache)\/)?[a-z0-9][a-z0-9_.-]{0,80}$/, 'not an artifact name')
  .refine((name) => !name.includes('..'), 'not an artifact name');

/** An immutable file an attempt made. */
export const Artifact = z.object({
  key: z.string().min(1),
  sizeBytes: Decimal,
  hash: Hash,
  /** The job's state in which its stage ran: going back before it drops the file. */
  madeIn: z.string(),
  /** The runner that made it, so that a bad file costs the right one. */
  madeBy: z.string(),
});
export type Artifact = z.infer<typeof Artifact>;

const numbered = (stem: string, files: number): string[] =>
  files === 1 ? [`cache/${stem}.dat`] : Array.from({ length: files }, (_, i) => `cache/${stem}-${i}.dat`);

/** `cache/sc-02-data-layer-1.dat` … in order. */
export function layerNames(proof: SealProof): string[] {
  return Array.from({ length: sealProofInfo(proof).layers }, (_, i) => `cache/sc-02-data-layer-${i + 1}.dat`);
}

/** The file or files of tree-c. */
export function treeCNames(proof: SealProof): string[] {
  return numbered('sc-02-data-tree-c', sealProofInfo(proof).treeFiles);
}

/** The file or files of tree-r-last. */
export function treeRLastNames(proof: SealProof): string[] {
  return numbered('sc-02-data-tree-r-last', sealProofInfo(proof).treeFiles);
}

export const TREE_D = 'cache/sc-02-data-tree-d.dat';
export const P_AUX = 'cache/p_aux';
export const T_AUX = 'cache/t_aux';
export const SYNTHETIC_PROOFS = 'cache/syn-porep-vanilla-proofs.dat';
export const VANILLA_PROOFS = 'vanilla-proofs.json';
export const UPDATE_VANILLA_PROOFS = 'update-vanilla-proofs.json';
/** The unsealed range. */
export const PIECE = 'piece';

/** What stays in miner storage for good. */
export function keptNames(proof: SealProof): string[] {
  return ['sealed', P_AUX, T_AUX, ...treeRLastNames(proof)];
}

/** The same names of an update: `cache/…` becomes `update-cache/…`. */
export function keptUpdateNames(proof: SealProof): string[] {
  return ['update', ...keptNames(proof).flatMap((name) => (name === 'sealed' ? [] : [`update-${name}`]))];
}

/** The size that a file of this name has, where it has the size of its sector; undefined: it depends. */
export function exactSizeBytes(name: string, proof: SealProof): number | undefined {
  const whole = name === 'sealed' || name === 'update' || name === 'unsealed' || layerNames(proof).includes(name);
  return whole ? sealProofInfo(proof).sectorSizeBytes : undefined;
}

/** The largest size an output of this name can honestly have; a runner's upload is cut off above it. */
export function maxSizeBytes(name: string, proof: SealProof): number {
  const { sectorSizeBytes } = sealProofInfo(proof);
  if (name === TREE_D) return sectorSizeBytes * 2;
  if (name === SYNTHETIC_PROOFS) return Math.max(sectorSizeBytes, 16 * 2 ** 30);
  if (name === VANILLA_PROOFS || name === UPDATE_VANILLA_PROOFS) return 512 * 2 ** 20;
  if (name.endsWith('/p_aux') || name.endsWith('/t_aux') || name === 'proof.bin') return 64 * 2 ** 10;
  return sectorSizeBytes * 2;
}

/** What is wrong with the size of an output, as a clause; undefined: nothing. */
export function wrongSize(name: string, sizeBytes: bigint, proof: SealProof): string | undefined {
  const [exact, most] = [exactSizeBytes(name, proof), maxSizeBytes(name, proof)];
  if (sizeBytes === 0n) return `its output ${name} is empty`;
  if (exact !== undefined && sizeBytes !== BigInt(exact)) return `its output ${name} has ${sizeBytes} bytes and not ${exact}`;
  return sizeBytes > BigInt(most) ? `its output ${name} has ${sizeBytes} bytes, more than the ${most} it may have` : undefined;
}
