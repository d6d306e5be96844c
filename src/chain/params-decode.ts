/**
 * The way back from CBOR, strictly: a wrong length, type, range or a longer encoding than needed is
 * refused. The dev chain reads messages with it, the client landed messages and the return of methods 34 and 35.
 */
import { decode, encode } from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { addressText } from './addresses.ts';
import type { ActivationResults, PieceManifest, PreCommitSector, ProveCommitSectors3, ProveReplicaUpdates3 } from './params.ts';

const MAX_SECTOR_NUMBER = 2n ** 63n - 1n;
const Uint = z.union([z.number().int().nonnegative(), z.bigint().nonnegative()]);
const SectorNumber = Uint.refine((n) => BigInt(n) <= MAX_SECTOR_NUMBER, 'a sector number is below 2^63');
const Epoch = z.number().int();
const Bytes = z.instanceof(Uint8Array);
// Not instanceof: the decoder's CID class may be another copy of the package.
const AnyCid = z.custom<CID>((value) => CID.asCID(value) !== null, 'a CID').transform((value) => CID.asCID(value) as CID);

const Piece = z
  .tuple([AnyCid, Uint, z.tuple([Uint, Uint]).nullable(), z.array(z.tuple([Bytes, Bytes]))])
  .transform(([cid, paddedSizeBytes, allocation, notify]): PieceManifest => ({
    cid,
    paddedSizeBytes,
    allocation: allocation === null ? null : { clientId: allocation[0], allocationId: allocation[1] },
    notify: notify.map(([address, payload]) => ({ address: addressText(address), payload })),
  }));

const PreCommitBatch = z.tuple([
  z.array(z.tuple([z.number().int(), SectorNumber, AnyCid, Epoch, z.array(Uint), Epoch, AnyCid.nullable()])),
]);

const ProveCommit = z.tuple([
  z.array(z.tuple([SectorNumber, z.array(Piece)])),
  z.array(Bytes),
  Bytes,
  z.number().int().nullable(),
  z.boolean(),
  z.boolean(),
]);

const Index = z.number().int().nonnegative();
const ProveReplicaUpdates = z.tuple([
  z.array(z.tuple([SectorNumber, Index, Index, AnyCid, z.array(Piece)])),
  z.array(Bytes),
  Bytes,
  z.number().int(),
  z.number().int().nullable(),
  z.boolean(),
  z.boolean(),
]);

const ActivationReturn = z.tuple([z.number().int().nonnegative(), z.array(z.tuple([z.number().int().nonnegative(), z.number().int()]))]);

/** The sectors of a method 28 message; `dealIds` is what the chain refuses when not empty. Throws on anything odd. */
export function decodePreCommitSectorBatch2(
  cbor: Uint8Array,
): readonly (PreCommitSector & { readonly dealIds: readonly (number | bigint)[] })[] {
  const [sectors] = PreCommitBatch.parse(decodeCanonical(cbor));
  return sectors.map(([sealProof, sectorNumber, commR, sealRandEpoch, dealIds, expiration, commD]) => ({
    sealProof,
    sectorNumber,
    commR,
    sealRandEpoch,
    dealIds,
    expiration,
    commD,
  }));
}

/** A method 34 message. Throws on anything odd. */
export function decodeProveCommitSectors3(cbor: Uint8Array): ProveCommitSectors3 {
  const [sectors, proofs, aggregateProof, aggregateType, activation, notification] = ProveCommit.parse(decodeCanonical(cbor));
  return {
    sectors: sectors.map(([sectorNumber, pieces]) => ({ sectorNumber, pieces })),
    proofs,
    aggregateProof,
    aggregateType,
    requireActivationSuccess: activation,
    requireNotificationSuccess: notification,
  };
}

/** A method 35 message; an aggregate is what the chain refuses. Throws on anything odd. */
export function decodeProveReplicaUpdates3(
  cbor: Uint8Array,
): ProveReplicaUpdates3 & { readonly aggregateProof: Uint8Array; readonly aggregateType: number | null } {
  const [updates, proofs, aggregateProof, updateType, aggregateType, activation, notification] = ProveReplicaUpdates.parse(
    decodeCanonical(cbor),
  );
  return {
    updates: updates.map(([sectorNumber, deadline, partition, newCommR, pieces]) => ({
      sectorNumber,
      deadline,
      partition,
      newCommR,
      pieces,
    })),
    proofs,
    aggregateProof,
    updateType,
    aggregateType,
    requireActivationSuccess: activation,
    requireNotificationSuccess: notification,
  };
}

/** What came of each sector of a landed method 34 or 35 message: a receipt of 0 alone does not say. */
export function decodeActivationReturn(cbor: Uint8Array): ActivationResults {
  const [successCount, failures] = ActivationReturn.parse(decodeCanonical(cbor));
  return { successCount, failures: failures.map(([index, exitCode]) => ({ index, exitCode })) };
}

function decodeCanonical(cbor: Uint8Array): unknown {
  const value: unknown = decode(cbor);
  if (Buffer.compare(encode(value), cbor) !== 0) throw new RangeError('the CBOR is not in its shortest form');
  return value;
}
