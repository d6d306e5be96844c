/** Parameters of replica updates that a client would not sign. */
import { anyCommitment } from '../../src/chain/cids.ts';
import { encodeProveReplicaUpdates3, type ProveReplicaUpdates3 } from '../../src/chain/params.ts';
import { type Bench, MINER, type UpdateWant } from './harness.ts';

export type UpdateEntry = ProveReplicaUpdates3['updates'][number];

/** The entry of a want, where the chain has the sector. */
export async function updateEntry(b: Bench, want: UpdateWant): Promise<UpdateEntry> {
  const sector = await b.chain.sector(MINER, want.number);
  return {
    sectorNumber: want.number,
    deadline: sector?.deadline ?? 0,
    partition: sector?.partition ?? 0,
    newCommR: anyCommitment('sealed', want.commR),
    pieces: want.pieces.map(({ cid, paddedSizeBytes }) => ({
      cid: anyCommitment('unsealed', cid),
      paddedSizeBytes: Number(paddedSizeBytes),
      allocation: null,
      notify: [],
    })),
  };
}

/** CBOR of method 35 for these wants, changed as asked for. */
export async function updatingParams(
  b: Bench,
  wants: readonly UpdateWant[],
  change: Partial<ProveReplicaUpdates3> = {},
): Promise<Uint8Array> {
  return encodeProveReplicaUpdates3({
    updates: await Promise.all(wants.map((want) => updateEntry(b, want))),
    proofs: wants.map((want) => Uint8Array.from(Buffer.from(want.proofBase64, 'base64'))),
    updateType: 0,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
    ...change,
  });
}
