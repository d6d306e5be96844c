/**
 * The `Chain` port on a Lotus node. It decides nothing about sectors: it asks, builds, signs and pushes.
 * Signing and pushing are two steps so that the signed bytes can be stored in between.
 */
import { z } from 'zod';
import type { MinerId } from '../schema/ids.ts';
import type { ChainSector } from '../schema/job.ts';
import type { MessageWant, SignedMessage } from '../scheduler/effects.ts';
import type { Chain, MessageState, PendingMessage } from '../scheduler/ports.ts';
import { actorId } from './addresses.ts';
import { type Balance, type Balances, balancesOf } from './balances.ts';
import { RANDOMNESS_TAG, randomnessEntropy } from './derivations.ts';
import { ChainError } from './errors.ts';
import { MinerInfo, NetworkParams, Randomness, RunLengths, setBits, TipSet } from './lotus-answers.ts';
import { LotusRpc, type LotusRpcOptions } from './lotus-rpc.ts';
import { messageState, pendingOf } from './message-state.ts';
import {
  type LotusMessage,
  LotusMessage as LotusMessageSchema,
  LotusSignedMessage,
  messageCid,
  signedMessageCbor,
  signedMessageCid,
} from './message.ts';
import { buildMinerMessage } from './miner-messages.ts';
import { pushSigned } from './push.ts';
import { explainRefusal } from './refusals.ts';
import { chainSector, preCommitEntry, type PreCommitEntry, preCommitInfo } from './sector-state.ts';
import { updatableSector } from './updatable.ts';

export type LotusChainOptions = LotusRpcOptions & {
  /** From pre-commit to expiration; default 540 days of 30 s epochs. */
  readonly sectorLifetimeEpochs?: number;
  /** Epochs to wait beyond the seed's own, so that a reorg does not change it; default 6. */
  readonly seedConfidenceEpochs?: number;
  /** Signs for every miner instead of its worker; must be owner or control address. */
  readonly sender?: string;
};

/** How far back the ticket is drawn: one finality, so that a reorg cannot change it. */
const TICKET_LOOKBACK_EPOCHS = 900;
/**
 * Older is the head of a node that syncs or stands still. From its state a ticket would be nearly used up, a sector that was just
 * proven unknown, a number that was just given out free, and after a restore the chain without all that the lost database did.
 */
const MOST_BEHIND_MS = 10 * 60_000;
const BEHIND_WAIT_EPOCHS = 4;
const DEFAULT_LIFETIME_EPOCHS = 540 * 2880;
const DEFAULT_SEED_CONFIDENCE_EPOCHS = 6;
const MAX_MESSAGE_BYTES = 65_536;

/** The chain through one Lotus node. */
export class LotusChain implements Chain, Balances {
  readonly #rpc: LotusRpc;
  readonly #options: LotusChainOptions;

  constructor(options: LotusChainOptions) {
    this.#options = options;
    this.#rpc = new LotusRpc(options);
  }

  async close(): Promise<void> {
    await this.#rpc.close();
  }

  /** Throws `node_behind` while the node is no longer, or not yet, where the network is. */
  async head(): Promise<{ epoch: number }> {
    const { Height: epoch, Blocks } = await this.#rpc.call('ChainHead', [], TipSet);
    const [block] = Blocks ?? [];
    const behindMs = block === undefined ? 0 : Date.now() - block.Timestamp * 1000;
    if (behindMs > MOST_BEHIND_MS) {
      throw new ChainError(
        'temporary',
        'node_behind',
        `the node's head, epoch ${epoch}, is ${Math.floor(behindMs / 60_000)} minutes old; what it says is believed once it has caught up (look at its sync, and at the clocks of both machines)`,
        { waitEpochs: BEHIND_WAIT_EPOCHS },
      );
    }
    return { epoch };
  }

  async network(): Promise<{ epochMs: number; challengeDelay: number; name: string }> {
    const params = await this.#rpc.call('StateGetNetworkParams', [], NetworkParams);
    return { epochMs: params.BlockDelaySecs * 1000, challengeDelay: params.PreCommitChallengeDelay, name: params.NetworkName };
  }

  async ticket(miner: MinerId): Promise<{ value: string; epoch: number }> {
    const { epoch: now } = await this.head();
    return this.ticketAt(miner, Math.max(0, now - TICKET_LOOKBACK_EPOCHS));
  }

  async ticketAt(miner: MinerId, epoch: number): Promise<{ value: string; epoch: number }> {
    const entropy = entropyBase64(miner);
    const value = await this.#rpc.call('StateGetRandomnessFromTickets', [RANDOMNESS_TAG.SealRandomness, epoch, entropy, []], Randomness);
    return { value, epoch };
  }

  async seed(miner: MinerId, number: number): Promise<{ value: string; epoch: number } | { waitEpochs: number }> {
    const [onChain, network, head] = await Promise.all([preCommitInfo(this.#rpc, miner, number), this.network(), this.head()]);
    if (onChain === null) {
      throw new ChainError(
        'permanent',
        'no_pre_commit',
        `sector ${number} of ${miner} has no pre-commit on chain, so it has no seed; look whether it landed or expired`,
      );
    }
    const epoch = onChain.PreCommitEpoch + network.challengeDelay;
    const safe = epoch + (this.#options.seedConfidenceEpochs ?? DEFAULT_SEED_CONFIDENCE_EPOCHS);
    if (head.epoch < safe) return { waitEpochs: safe - head.epoch };
    const value = await this.#rpc.call(
      'StateGetRandomnessFromBeacon',
      [RANDOMNESS_TAG.InteractiveSealChallengeSeed, epoch, entropyBase64(miner), []],
      Randomness,
    );
    return { value, epoch };
  }

  /** Owner, worker (as IDs), control addresses and sector size. */
  async minerInfo(miner: MinerId): Promise<MinerInfo> {
    return this.#rpc.call('StateMinerInfo', [miner, []], MinerInfo);
  }

  async sender(miner: MinerId): Promise<string> {
    const info = await this.minerInfo(miner);
    const chosen = this.#options.sender ?? info.Worker;
    // A message from an ID address cannot be checked against a key by the mempool.
    return this.#rpc.call('StateAccountKey', [chosen, []], z.string());
  }

  async sign(want: MessageWant, nonceFloor: number): Promise<SignedMessage> {
    const [sender, built] = await Promise.all([
      this.sender(want.miner),
      buildMinerMessage(this.#rpc, want, this.#options.sectorLifetimeEpochs ?? DEFAULT_LIFETIME_EPOCHS),
      this.head(),
    ]);
    const draft: LotusMessage = {
      Version: 0,
      To: `t0${actorId(want.miner)}`,
      From: sender,
      Nonce: 0,
      Value: built.value,
      GasLimit: 0,
      GasFeeCap: '0',
      GasPremium: '0',
      Method: built.method,
      Params: Buffer.from(built.params).toString('base64'),
    };
    const estimated = await this.#estimate(draft, want);
    const nodeNonce = await this.#rpc.call('MpoolGetNonce', [sender], z.number().int().nonnegative());
    const message: LotusMessage = {
      ...draft,
      Nonce: Math.max(nodeNonce, nonceFloor),
      GasLimit: estimated.GasLimit,
      GasFeeCap: estimated.GasFeeCap,
      GasPremium: estimated.GasPremium,
    };
    const answer = await this.#rpc.call('WalletSignMessage', [sender, message], LotusSignedMessage);
    if (!messageCid(answer.Message).equals(messageCid(message))) {
      throw new ChainError(
        'permanent',
        'signed_other_message',
        'the wallet signed another message than it was given; do not use this node until that is explained',
      );
    }
    const signed: LotusSignedMessage = { Message: message, Signature: answer.Signature };
    const sizeBytes = signedMessageCbor(signed).length;
    if (sizeBytes > MAX_MESSAGE_BYTES) {
      throw new ChainError(
        'permanent',
        'message_too_large',
        `the message has ${sizeBytes} bytes, the mempool takes ${MAX_MESSAGE_BYTES}; send fewer sectors in one`,
      );
    }
    return {
      sender,
      nonce: message.Nonce,
      cid: signedMessageCid(signed).toString(),
      signed: JSON.stringify(signed),
      pushed: false,
    };
  }

  async push(message: SignedMessage): Promise<void> {
    await pushSigned(this.#rpc, message);
  }

  async message(cid: string, want: { number: number | null }): Promise<MessageState> {
    return messageState(this.#rpc, cid, want.number);
  }

  async pendingMessages(sender: string): Promise<readonly PendingMessage[]> {
    return pendingOf(this.#rpc, sender);
  }

  async preCommit(
    miner: MinerId,
    number: number,
  ): Promise<{ commR: string; commD: string | null; epoch: number; ticketEpoch: number; sealProof: number } | undefined> {
    const onChain = await preCommitInfo(this.#rpc, miner, number);
    if (onChain === null) return undefined;
    const { SealedCID: commR, SealRandEpoch: ticketEpoch, SealProof: sealProof } = onChain.Info;
    return { commR, commD: onChain.Info.UnsealedCid ?? null, epoch: onChain.PreCommitEpoch, ticketEpoch, sealProof };
  }

  async preCommitMessage(cid: string, number: number): Promise<PreCommitEntry | undefined> {
    return preCommitEntry(this.#rpc, cid, number);
  }

  async sector(miner: MinerId, number: number): Promise<ChainSector | undefined> {
    const [sector] = await Promise.all([chainSector(this.#rpc, miner, number), this.head()]);
    return sector;
  }

  async balances(miner: MinerId): Promise<readonly Balance[]> {
    return balancesOf(this.#rpc, miner, await this.minerInfo(miner));
  }

  async allocated(miner: MinerId, numbers: readonly number[]): Promise<readonly number[]> {
    const [given] = await Promise.all([this.#rpc.call('StateMinerAllocated', [miner, []], RunLengths), this.head()]);
    return setBits(given, numbers);
  }

  /** Lets the node execute the message on its head: what the chain would refuse is told before anything is signed. */
  async #estimate(draft: LotusMessage, want: MessageWant): Promise<LotusMessage> {
    try {
      return await this.#rpc.call('GasEstimateMessageGas', [draft, null, []], LotusMessageSchema);
    } catch (error) {
      // The moment may have passed since it was looked at; the chain then says no more than "no valid updates".
      if (want.method === 'ProveReplicaUpdates3' && error instanceof ChainError && error.exitCode !== undefined) {
        await updatableSector(this.#rpc, want);
      }
      throw explainRefusal(error, { want, sender: draft.From });
    }
  }
}

function entropyBase64(miner: MinerId): string {
  return Buffer.from(randomnessEntropy(miner)).toString('base64');
}
