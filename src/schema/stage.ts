/** Stages, and the typed request that a runner gets for each. */
import { z } from 'zod';
import { MinerId } from './ids.ts';
import { SealProof } from './seal-proof.ts';
import { Decimal, Hash } from './units.ts';

/** The work behind an event, or a check. */
export const Stage = z.enum([
  'AddPiece',
  'BuildTreeD',
  'PC1',
  'PC2',
  'C1',
  'C2',
  'SnapEncode',
  'SnapProve',
  'CheckSealed',
  'Persist',
  'Publish',
  'Verify',
  'Unseal',
]);
export type Stage = z.infer<typeof Stage>;

/** Stages that take the whole machine: a runner does one of these at a time, however many slots it has. */
export const HEAVY: ReadonlySet<Stage> = new Set<Stage>(['PC2', 'C2', 'SnapEncode', 'SnapProve', 'CheckSealed']);

/** Which parameters and chain rules apply; dev-network parameters are refused elsewhere. */
export const Network = z.enum(['main', 'calibration', 'dev']);
export type Network = z.infer<typeof Network>;

/** Names of sealpool-prover's stages. */
export const ProverStage = z.enum([
  'add-piece',
  'tree-d',
  'pc1',
  'pc2',
  'c1',
  'verify-vanilla',
  'c2',
  'verify-seal',
  'snap-encode',
  'snap-prove',
  'verify-update',
  'check-sealed',
  'unseal-piece',
]);
export type ProverStage = z.infer<typeof ProverStage>;

export const SectorIdentity = z.object({ miner: MinerId, number: Decimal, sealProof: SealProof });
export type SectorIdentity = z.infer<typeof SectorIdentity>;

/** Run sealpool-prover; the agent adds `version`, `inputs` and `outputDir`. */
export const ProverWork = z.object({
  kind: z.literal('prover'),
  stage: ProverStage,
  network: Network,
  sector: SectorIdentity,
  params: z.record(z.string(), z.unknown()),
});
export type ProverWork = z.infer<typeof ProverWork>;

/** A file of miner storage, by its path below the storage root. */
export const StoredFile = z.object({ path: z.string(), sizeBytes: Decimal, hash: Hash });
export type StoredFile = z.infer<typeof StoredFile>;

/** Copy inputs into miner storage: temporary name, fsync, read back, compare, rename. */
export const PersistWork = z.object({
  kind: z.literal('persist'),
  /** The storage they must go to; null: whichever has room. */
  storage: z.string().nullable(),
  /** Artifact name → path below the storage root (`sealed/s-t01000-7`). */
  files: z.array(z.object({ artifact: z.string(), path: z.string() })),
  /** Written as `cache/s-…/sector.json`, what the chain does not keep. */
  sectorJson: z.object({ path: z.string(), content: z.record(z.string(), z.unknown()) }),
});
export type PersistWork = z.infer<typeof PersistWork>;

/**
 * Put stored files into object storage again, as outputs of the attempt. A null hash: the file was never
 * hashed (an imported sector); what is read is reported.
 */
export const PublishWork = z.object({
  kind: z.literal('publish'),
  storage: z.string(),
  files: z.array(z.object({ artifact: z.string(), path: z.string(), hash: Hash.nullable() })),
});
export type PublishWork = z.infer<typeof PublishWork>;

/** Read stored files again and compare size and hash. */
export const CheckStoredWork = z.object({ kind: z.literal('check-stored'), storage: z.string(), files: z.array(StoredFile) });
export type CheckStoredWork = z.infer<typeof CheckStoredWork>;

export const Work = z.discriminatedUnion('kind', [ProverWork, PersistWork, CheckStoredWork, PublishWork]);
export type Work = z.infer<typeof Work>;

/** Result of Persist: in which storage the files are now. */
export const PersistResult = z.object({ storage: z.string(), root: z.string(), files: z.array(StoredFile) });
export type PersistResult = z.infer<typeof PersistResult>;
