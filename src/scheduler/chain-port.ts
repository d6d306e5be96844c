/** What the core needs of a chain node. */
import type { MinerId } from '../schema/ids.ts';
import type { ChainSector } from '../schema/job.ts';
import type { MessageWant, SignedMessage } from './effects.ts';

/** What is known of a message on the chain. */
export type MessageState =
  | { readonly state: 'unknown' }
  | { readonly state: 'pending' }
  | {
      readonly state: 'landed';
      readonly epoch: number;
      /** Epochs between its tipset and the head. */
      readonly confidence: number;
      readonly exitCode: number;
      /** Whether this sector of the batch succeeded (decoded from the receipt's return). */
      readonly sectorOk: boolean;
      /** What the receipt says when it failed. */
      readonly detail: string;
    };

/** A message in the mempool, whoever signed it. `sectors`: numbers of those that it pre-commits, proves or updates. */
export type PendingMessage = { readonly cid: string; readonly nonce: number; readonly sectors: readonly number[] };

/** The chain as one sector needs it. Errors are `ChainError` with a category. */
export type Chain = {
  head(): Promise<{ epoch: number }>;
  /** Length of an epoch and the pre-commit challenge delay, from the node. */
  network(): Promise<{ epochMs: number; challengeDelay: number; name: string }>;
  /** Ticket for the miner at head − 900. */
  ticket(miner: MinerId): Promise<{ value: string; epoch: number }>;
  /** Interactive seed at pre-commit epoch + delay, or how long until it exists. */
  seed(miner: MinerId, number: number): Promise<{ value: string; epoch: number } | { waitEpochs: number }>;
  /** The address that signs for the miner (its worker). */
  sender(miner: MinerId): Promise<string>;
  /** Builds, estimates and signs. Takes the nonce as the greater of the node's and `nonceFloor`. Does not push. */
  sign(want: MessageWant, nonceFloor: number): Promise<SignedMessage>;
  /** Pushes the very bytes; pushing what is already there is no error. */
  push(message: SignedMessage): Promise<void>;
  /** `number`: the sector that `sectorOk` is about; null: only the message itself is asked for. */
  message(cid: string, want: { number: number | null }): Promise<MessageState>;
  /** The ticket as it was at this epoch. */
  ticketAt(miner: MinerId, epoch: number): Promise<{ value: string; epoch: number }>;
  /** `commD` is null for committed capacity. */
  preCommit(
    miner: MinerId,
    number: number,
  ): Promise<{ commR: string; commD: string | null; epoch: number; ticketEpoch: number; sealProof: number } | undefined>;
  /** This sector's entry in a pre-commit message that landed; undefined when there is none of that CID. */
  preCommitMessage(
    cid: string,
    number: number,
  ): Promise<{ ticketEpoch: number; sealProof: number; commR: string; commD: string | null } | undefined>;
  sector(miner: MinerId, number: number): Promise<ChainSector | undefined>;
  /** All messages of this address that wait in the mempool. */
  pendingMessages(sender: string): Promise<readonly PendingMessage[]>;
  /** Which of these numbers the chain has given out already. */
  allocated(miner: MinerId, numbers: readonly number[]): Promise<readonly number[]>;
};
