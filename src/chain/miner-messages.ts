/**
 * From what a sector wants to the parameters and the value of its message.
 * Value (facts of the miner actor): 28 the pre-commit deposit, 34 the initial pledge less the deposit, 35 the
 * new pledge less the old one, never below zero.
 */
import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import type { MessageWant } from '../scheduler/effects.ts';
import { anyCommitment } from './cids.ts';
import { ChainError } from './errors.ts';
import { PreCommitOnChain, TipSet } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { AttoFil, METHOD } from './message.ts';
import { encodePreCommitSectorBatch2, encodeProveCommitSectors3, encodeProveReplicaUpdates3, type PieceManifest } from './params.ts';
import { sealProofInfoByNumber } from './proofs.ts';
import { updatableSector } from './updatable.ts';

/** Method number, parameters and attoFIL of a message to the miner actor. */
export type MinerMessage = { readonly method: number; readonly params: Uint8Array; readonly value: string };

/** Builds the message, asking the node for what only the chain knows (deposit, pledge, head). */
export async function buildMinerMessage(rpc: LotusRpc, want: MessageWant, sectorLifetimeEpochs: number): Promise<MinerMessage> {
  if (want.method === 'PreCommitSectorBatch2') return preCommit(rpc, want, sectorLifetimeEpochs);
  return want.method === 'ProveCommitSectors3' ? proveCommit(rpc, want) : replicaUpdate(rpc, want);
}

async function preCommit(
  rpc: LotusRpc,
  want: Extract<MessageWant, { method: 'PreCommitSectorBatch2' }>,
  sectorLifetimeEpochs: number,
): Promise<MinerMessage> {
  const head = await rpc.call('ChainHead', [], TipSet);
  const expiration = head.Height + sectorLifetimeEpochs;
  const commR = anyCommitment('sealed', want.commR);
  const commD = want.commD === null ? null : anyCommitment('unsealed', want.commD);
  const params = encodePreCommitSectorBatch2([
    { sealProof: want.sealProof, sectorNumber: want.number, commR, sealRandEpoch: want.ticketEpoch, expiration, commD },
  ]);
  const info = {
    SealProof: want.sealProof,
    SectorNumber: want.number,
    SealedCID: link(commR),
    SealRandEpoch: want.ticketEpoch,
    DealIDs: [],
    Expiration: expiration,
    UnsealedCid: commD === null ? null : link(commD),
  };
  const deposit = await rpc.call('StateMinerPreCommitDepositForPower', [want.miner, info, []], AttoFil);
  return { method: METHOD.PreCommitSectorBatch2, params, value: deposit };
}

async function proveCommit(rpc: LotusRpc, want: Extract<MessageWant, { method: 'ProveCommitSectors3' }>): Promise<MinerMessage> {
  const [head, onChain] = await Promise.all([
    rpc.call('ChainHead', [], TipSet),
    rpc.call('StateSectorPreCommitInfo', [want.miner, want.number, []], z.nullable(PreCommitOnChain)),
  ]);
  if (onChain === null) {
    throw new ChainError(
      'permanent',
      'no_pre_commit',
      `sector ${want.number} of ${want.miner} has no pre-commit on chain; look whether it landed, expired or was proven already`,
    );
  }
  const pledge = await currentPledge(
    rpc,
    { number: want.number, sealProof: onChain.Info.SealProof },
    onChain.Info.Expiration - head.Height,
  );
  const params = encodeProveCommitSectors3({
    sectors: [
      {
        sectorNumber: want.number,
        pieces: manifests(want.pieces),
      },
    ],
    proofs: [Uint8Array.from(Buffer.from(want.proofBase64, 'base64'))],
    aggregateProof: new Uint8Array(),
    aggregateType: null,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
  });
  return { method: METHOD.ProveCommitSectors3, params, value: lessPaid(pledge, onChain.PreCommitDeposit) };
}

async function replicaUpdate(rpc: LotusRpc, want: Extract<MessageWant, { method: 'ProveReplicaUpdates3' }>): Promise<MinerMessage> {
  const { onChain, deadline, partition, epoch } = await updatableSector(rpc, want);
  const pledge = await currentPledge(rpc, { number: want.number, sealProof: onChain.SealProof }, onChain.Expiration - epoch);
  const newCommR = anyCommitment('sealed', want.commR);
  const params = encodeProveReplicaUpdates3({
    updates: [{ sectorNumber: want.number, deadline, partition, newCommR, pieces: manifests(want.pieces) }],
    proofs: [Uint8Array.from(Buffer.from(want.proofBase64, 'base64'))],
    updateType: want.updateProof,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
  });
  return { method: METHOD.ProveReplicaUpdates3, params, value: lessPaid(pledge, onChain.InitialPledge) };
}

/** Pledge (attoFIL) of a sector that is activated or upgraded now and lives so many epochs. */
async function currentPledge(rpc: LotusRpc, sector: { number: number; sealProof: number }, duration: number): Promise<string> {
  const size = sealProofInfoByNumber(sector.sealProof)?.sectorSizeBytes;
  if (size === undefined) {
    throw new ChainError(
      'permanent',
      'unknown_seal_proof',
      `the chain has sector ${sector.number} with seal proof ${sector.sealProof}, which is none we seal; abort the sector`,
    );
  }
  // From network version 29 on the verified size is the whole sector's.
  return rpc.call('StateMinerInitialPledgeForSector', [duration, size, size, []], AttoFil);
}

function manifests(pieces: readonly { readonly cid: string; readonly paddedSizeBytes: string }[]): PieceManifest[] {
  return pieces.map((piece) => ({
    cid: anyCommitment('unsealed', piece.cid),
    paddedSizeBytes: BigInt(piece.paddedSizeBytes),
    allocation: null,
    notify: [],
  }));
}

/** What of an amount is not paid yet. */
function lessPaid(amount: string, paid: string): string {
  const missing = BigInt(amount) - BigInt(paid);
  return (missing > 0n ? missing : 0n).toString();
}

function link(cid: CID): { '/': string } {
  return { '/': cid.toString() };
}
