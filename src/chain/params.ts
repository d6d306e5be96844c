/**
 * Parameters of the miner actor's methods 28, 34 and 35 in CBOR, and the return of 34 and 35.
 * Byte-identical to the official encoder for actors v16 to v19: tuples, minimal integers, CIDs in tag 42,
 * byte fields never null.
 */
import { encode } from '@ipld/dag-cbor';
import type { CID } from 'multiformats/cid';
import { addressBytes } from './addresses.ts';

/** One sector of PreCommitSectorBatch2. Epochs are chain epochs. */
export type PreCommitSector = {
  /** Registered seal proof, 5 … 14. */
  readonly sealProof: number;
  readonly sectorNumber: number | bigint;
  readonly commR: CID;
  /** Epoch of the ticket. */
  readonly sealRandEpoch: number;
  readonly expiration: number;
  /** Null for a sector of zeros. */
  readonly commD: CID | null;
};

/** A piece that a sector is activated with. */
export type PieceManifest = {
  readonly cid: CID;
  readonly paddedSizeBytes: number | bigint;
  /** The allocation of a verified deal: client's actor id and allocation id. */
  readonly allocation: { readonly clientId: number | bigint; readonly allocationId: number | bigint } | null;
  readonly notify: readonly { readonly address: string; readonly payload: Uint8Array }[];
};

export type ProveCommitSectors3 = {
  readonly sectors: readonly { readonly sectorNumber: number | bigint; readonly pieces: readonly PieceManifest[] }[];
  /** One proof per sector; empty when aggregated. */
  readonly proofs: readonly Uint8Array[];
  /** Empty unless aggregated. */
  readonly aggregateProof: Uint8Array;
  /** 1 is SnarkPackV2; null unless aggregated. */
  readonly aggregateType: number | null;
  readonly requireActivationSuccess: boolean;
  readonly requireNotificationSuccess: boolean;
};

export type ProveReplicaUpdates3 = {
  readonly updates: readonly {
    readonly sectorNumber: number | bigint;
    readonly deadline: number;
    readonly partition: number;
    readonly newCommR: CID;
    readonly pieces: readonly PieceManifest[];
  }[];
  readonly proofs: readonly Uint8Array[];
  /** Registered update proof, 0 … 4. */
  readonly updateType: number;
  readonly requireActivationSuccess: boolean;
  readonly requireNotificationSuccess: boolean;
};

/** CBOR of method 28. */
export function encodePreCommitSectorBatch2(sectors: readonly PreCommitSector[]): Uint8Array {
  return encode([
    sectors.map((sector) => [
      sector.sealProof,
      sector.sectorNumber,
      sector.commR,
      sector.sealRandEpoch,
      [],
      sector.expiration,
      sector.commD,
    ]),
  ]);
}

/** CBOR of method 34. */
export function encodeProveCommitSectors3(params: ProveCommitSectors3): Uint8Array {
  return encode([
    params.sectors.map((sector) => [sector.sectorNumber, sector.pieces.map(pieceTuple)]),
    params.proofs,
    params.aggregateProof,
    params.aggregateType,
    params.requireActivationSuccess,
    params.requireNotificationSuccess,
  ]);
}

/** CBOR of method 35. There are no aggregates of updates. */
export function encodeProveReplicaUpdates3(params: ProveReplicaUpdates3): Uint8Array {
  return encode([
    params.updates.map((update) => [
      update.sectorNumber,
      update.deadline,
      update.partition,
      update.newCommR,
      update.pieces.map(pieceTuple),
    ]),
    params.proofs,
    new Uint8Array(),
    params.updateType,
    null,
    params.requireActivationSuccess,
    params.requireNotificationSuccess,
  ]);
}

/** What came of each sector of a method 34 or 35 message. */
export type ActivationResults = {
  readonly successCount: number;
  /** By position in the message; every position not named here succeeded. */
  readonly failures: readonly { readonly index: number; readonly exitCode: number }[];
};

/** CBOR of the return of 34 and 35. */
export function encodeActivationReturn(results: ActivationResults): Uint8Array {
  return encode([results.successCount, results.failures.map((failure) => [failure.index, failure.exitCode])]);
}

function pieceTuple(piece: PieceManifest): unknown[] {
  return [
    piece.cid,
    piece.paddedSizeBytes,
    piece.allocation === null ? null : [piece.allocation.clientId, piece.allocation.allocationId],
    piece.notify.map((notify) => [addressBytes(notify.address), notify.payload]),
  ];
}
