/**
 * From what a sector wants to the parameters and the value of its message.
 * Value (facts of the miner actor): 28 the pre-commit deposit, 34 the initial pledge less the deposit,
 * never below zero.
 */
import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import type { MessageWant } from '../scheduler/effects.ts';
import { anyCommitment } from './cids.ts';
import { ChainError } from './errors.ts';
import { PreCommitOnChain, TipSet } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { AttoFil, METHOD } from './message.ts';
import { encodePreCommitSectorBatch2, encodeProveCommitSectors3 } from './params.ts';
import { sealProofInfoByNumber } from './proofs.ts';

/** Method number, parameters and attoFIL of a message to the miner actor. */
export type MinerMessage = { readonly method: number; readonly params: Uint8Array; readonly value: string };

/** Builds the message, asking the node for what only the chain knows (deposit, pledge, head). */
export async function buildMinerMessage(rpc: LotusRpc, want: MessageWant, sectorLifetimeEpochs: number): Promise<MinerMessage> {
  if (want.method === 'PreCommitSectorBatch2') return preCommit(rpc, want, sectorLifetimeEpochs);
  return proveCommit(rpc, want);
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
  const size = sealProofInfoByNumber(onChain.Info.SealProof)?.sectorSizeBytes;
  if (size === undefined) {
    throw new ChainError(
      'permanent',
      'unknown_seal_proof',
      `the pre-commit of sector ${want.number} names seal proof ${onChain.Info.SealProof}, which is none we seal; abort the sector`,
    );
  }
  const duration = onChain.Info.Expiration - head.Height;
  // From network version 29 on the verified size is the whole sector's.
  const pledge = await rpc.call('StateMinerInitialPledgeForSector', [duration, size, size, []], AttoFil);
  const params = encodeProveCommitSectors3({
    sectors: [
      {
        sectorNumber: want.number,
        pieces: want.pieces.map((piece) => ({
          cid: anyCommitment('unsealed', piece.cid),
          paddedSizeBytes: BigInt(piece.paddedSizeBytes),
          allocation: null,
          notify: [],
        })),
      },
    ],
    proofs: [Uint8Array.from(Buffer.from(want.proofBase64, 'base64'))],
    aggregateProof: new Uint8Array(),
    aggregateType: null,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
  });
  const missing = BigInt(pledge) - BigInt(onChain.PreCommitDeposit);
  return { method: METHOD.ProveCommitSectors3, params, value: (missing > 0n ? missing : 0n).toString() };
}

function link(cid: CID): { '/': string } {
  return { '/': cid.toString() };
}
