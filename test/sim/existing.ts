/**
 * Sectors that exist when a story begins: on the chain, in miner storage and known to the database, as after
 * an import. Snaps, rebuilds and unsealings start from them.
 */
import type { MinerId } from '../../src/schema/ids.ts';
import type { SealProof } from '../../src/schema/seal-proof.ts';
import { sealProofInfo } from '../../src/schema/seal-proof.ts';
import type { PlacedPiece, SectorRecord } from '../../src/schema/sector-record.ts';
import type { Active } from './ledger.ts';
import { type Comm, commDOf, commROf, fileOf, hashOf, pieceCid, randomness, replicaId, updateId } from './replica.ts';
import type { Existing } from './script.ts';
import { FIRST_DISK, type MinerDisk } from './miner-disks.ts';

const TICKET_EPOCH = 5_000;
const PIECE_BYTES = 512;

/** What is kept of a sector of 2 KiB, by the names of its artifacts. */
export const KEPT = ['sealed', 'cache/p_aux', 'cache/t_aux', 'cache/sc-02-data-tree-r-last.dat'];
export const KEPT_OF_UPDATE = ['update', 'update-cache/p_aux', 'update-cache/t_aux', 'update-cache/sc-02-data-tree-r-last.dat'];

/** A known sector in full. */
export type Known = { readonly record: SectorRecord; readonly active: Active; readonly files: ReadonlyMap<string, string> };

/** The client data that an existing sector holds. */
export const dataOf = (number: number): string => `data of sector ${number}`;

/** Layout and CommD of the sector's data, or of zeros. */
function layoutOf(number: number, data: boolean): { layout: PlacedPiece[]; commD: Comm } {
  const layout = data ? [{ cid: pieceCid(dataOf(number)), paddedSizeBytes: String(PIECE_BYTES), offsetBytes: '0' }] : [];
  return { layout, commD: commDOf(layout) };
}

export function knownSector(miner: MinerId, sealProof: SealProof, existing: Existing): Known {
  const { number, holds } = existing;
  const ticket = randomness('ticket', TICKET_EPOCH + number);
  const sealed = layoutOf(number, holds === 'data');
  const replica = replicaId({ miner, number }, ticket, sealed.commD.cid);
  const commR = commROf(replica);
  const files = new Map(KEPT.map((name) => [pathOf(miner, number, name), fileOf(name, replica)]));
  const snapped = layoutOf(number, true);
  const update = updateId(commR.cid, snapped.commD.cid);
  const upgraded = holds === 'upgraded';
  if (upgraded) for (const name of KEPT_OF_UPDATE) files.set(pathOf(miner, number, name), fileOf(name, update));
  const stored = [...files].map(([path, content]) => ({ path, sizeBytes: String(content.length), hash: hashOf(content) }));
  const seal = sealProofInfo(sealProof).number;
  return {
    files,
    active: {
      commR: upgraded ? commROf(update).cid : commR.cid,
      keyCommR: upgraded ? commR.cid : null,
      activationEpoch: TICKET_EPOCH + 2_000,
      sealProof: seal,
    },
    record: {
      miner,
      number,
      sealProof,
      ticket: { epoch: TICKET_EPOCH + number, value: existing.ticket ? ticket : null },
      commD: sealed.commD,
      commR,
      pieces: sealed.layout,
      update: upgraded ? { commR: commROf(update), commD: snapped.commD, pieces: snapped.layout } : null,
      files: { storage: FIRST_DISK, root: '/storage', files: stored },
      preCommit: null,
      proveCommit: null,
      replicaUpdate: null,
      source: 'lotus',
    },
  };
}

/** Path of a file below a storage root, as lotus lays it out. */
export function pathOf(miner: string, number: number, name: string): string {
  const [folder, file] = name.split('/');
  return file === undefined ? `${name}/s-${miner}-${number}` : `${folder}/s-${miner}-${number}/${file}`;
}

/** Writes the files; those of a lost sector are gone. */
export function putFiles(disk: MinerDisk, known: Known, lost: boolean): void {
  if (lost) return;
  for (const [path, content] of known.files) disk.files.set(path, content);
}
