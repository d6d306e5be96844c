/** A sector as the chain shows it: replica, place, and whether Window PoSt has proven it. */
import { z } from 'zod';
import type { ChainSector } from '../schema/job.ts';
import type { MinerId } from '../schema/ids.ts';
import { ChainError } from './errors.ts';
import { type Partition, Partitions, PreCommitOnChain, SectorOnChain, SectorPartition, setBits } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { LotusMessage, METHOD } from './message.ts';
import { decodePreCommitSectorBatch2 } from './params-decode.ts';

/**
 * How Window PoSt stands with a sector. Unproven: its first window is not over; faulty: one was missed; dead: it expired or was
 * terminated, and nothing brings it back.
 */
export type PostState = 'unproven' | 'active' | 'faulty' | 'dead';

/** The pre-commit while it is neither proven nor expired. */
export async function preCommitInfo(rpc: LotusRpc, miner: MinerId, number: number): Promise<PreCommitOnChain | null> {
  return rpc.call('StateSectorPreCommitInfo', [miner, number, []], z.nullable(PreCommitOnChain));
}

/** The sector once it was activated; null when there is none. One that ended stays until its partition is compacted: see `sectorPlace`. */
export async function sectorInfo(rpc: LotusRpc, miner: MinerId, number: number): Promise<SectorOnChain | null> {
  return rpc.call('StateSectorGetInfo', [miner, number, []], z.nullable(SectorOnChain));
}

/** Deadline and partition of an activated sector, and what Window PoSt says of it. */
export async function sectorPlace(
  rpc: LotusRpc,
  miner: MinerId,
  number: number,
): Promise<{ deadline: number; partition: number; post: PostState }> {
  const { Deadline, Partition: index } = await rpc.call('StateSectorPartition', [miner, number, []], SectorPartition);
  const partition = (await rpc.call('StateMinerPartitions', [miner, Deadline, []], Partitions))?.[index];
  return { deadline: Deadline, partition: index, post: partition === undefined ? 'unproven' : postOf(partition, number) };
}

function postOf({ LiveSectors, ActiveSectors, FaultySectors }: Partition, number: number): PostState {
  const has = (runs: readonly number[]): boolean => setBits(runs, [number]).length > 0;
  if (!has(LiveSectors)) return 'dead';
  return has(ActiveSectors) ? 'active' : has(FaultySectors) ? 'faulty' : 'unproven';
}

/** What a flow on an existing sector starts from; undefined when the chain has no such activated sector, or it has ended. */
export async function chainSector(rpc: LotusRpc, miner: MinerId, number: number): Promise<ChainSector | undefined> {
  const onChain = await sectorInfo(rpc, miner, number);
  if (onChain === null) return undefined;
  const { deadline, partition, post } = await sectorPlace(rpc, miner, number);
  if (post === 'dead') return undefined;
  return {
    sealProof: onChain.SealProof,
    commR: onChain.SealedCID,
    keyCommR: onChain.SectorKeyCID ?? null,
    activationEpoch: onChain.Activation,
    expirationEpoch: onChain.Expiration,
    deadline,
    partition,
    proven: post === 'active',
  };
}

/** A sector's entry in a pre-commit message. Commitments are CIDs. */
export type PreCommitEntry = { ticketEpoch: number; sealProof: number; commR: string; commD: string | null };

/** What nodes say of a CID they do not have. */
const NO_SUCH_BLOCK = /not found|could not find/i;

/**
 * The sector's entry in a message of method 28; undefined when the node has no message of that CID, or it is
 * another one. That it landed is not looked at: who seals again compares CommR with the chain.
 */
export async function preCommitEntry(rpc: LotusRpc, cid: string, number: number): Promise<PreCommitEntry | undefined> {
  let message: LotusMessage;
  try {
    message = await rpc.call('ChainGetMessage', [{ '/': cid }], LotusMessage);
  } catch (error) {
    if (error instanceof ChainError && error.code === 'rpc_error' && NO_SUCH_BLOCK.test(error.message)) return undefined;
    throw error;
  }
  if (message.Method !== METHOD.PreCommitSectorBatch2) return undefined;
  const entries = decodePreCommitSectorBatch2(Uint8Array.from(Buffer.from(message.Params, 'base64')));
  const entry = entries.find((candidate) => BigInt(candidate.sectorNumber) === BigInt(number));
  if (entry === undefined) return undefined;
  return {
    ticketEpoch: entry.sealRandEpoch,
    sealProof: entry.sealProof,
    commR: entry.commR.toString(),
    commD: entry.commD?.toString() ?? null,
  };
}
