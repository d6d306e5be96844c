/** Effects are data: what is to be done outside, and what came of it. */
import type { EffectId, JobId, MinerId } from '../schema/ids.ts';
import type { ChainSector, ErrorCategory } from '../schema/job.ts';

/** What to do. Chain steps carry all they need, so that the performer decides nothing. */
export type EffectWant =
  /** Ask the chain whether the number was given out already (the miner may share numbers with other software). */
  | { readonly kind: 'number'; readonly miner: MinerId; readonly number: number }
  /** Draw the ticket: randomness at head − 900. */
  | { readonly kind: 'ticket'; readonly miner: MinerId }
  /** Draw again the ticket of a sector that was sealed before: its epoch, else the pre-commit message that names it. */
  | {
      readonly kind: 'oldTicket';
      readonly miner: MinerId;
      readonly number: number;
      readonly epoch: number | null;
      readonly preCommit: string | null;
    }
  /** Look at the sector on the chain. */
  | { readonly kind: 'sector'; readonly miner: MinerId; readonly number: number }
  /**
   * After a restore: what the chain has that the database does not know. Nothing of the job is sent before.
   * Without a number: only that no message of the lost database is under way any more.
   */
  | { readonly kind: 'reconcile'; readonly miner: MinerId; readonly number: number | null }
  /** Wait for the seed epoch of the pre-commit, then draw it. */
  | { readonly kind: 'seed'; readonly miner: MinerId; readonly number: number }
  /** Send one message: sign once, push the same bytes until the chain has them. */
  | { readonly kind: 'message'; readonly message: MessageWant }
  /** Follow a pushed message until it has landed with confidence. */
  | {
      readonly kind: 'landed';
      readonly miner: MinerId;
      readonly number: number;
      readonly message: string;
      readonly what: MessageField;
      readonly commR: string;
    }
  /** Tell whoever does Window PoSt where a sector's files are, and see that it sees them. Repeating it changes nothing. */
  | DeclareWant
  /** Delete objects that no state needs any more. */
  | {
      readonly kind: 'delete';
      readonly keys: readonly string[];
      /** Uploads that were begun and will not be completed: their parts go. */
      readonly uploads?: readonly { readonly key: string; readonly uploadId: string }[];
    };

/** Files of a sector in a storage; `dropped`: a storage that they are not in any more. */
export type DeclareWant = {
  readonly kind: 'declare';
  readonly miner: MinerId;
  readonly number: number;
  readonly sectorSizeBytes: number;
  readonly storage: string;
  readonly root: string;
  /** Paths below the root. */
  readonly files: readonly string[];
  readonly dropped: string | null;
};

/** The small fact that holds all messages and numbers of a miner back after a restore; empty or absent: nothing does. */
export function reconcilingKey(miner: MinerId): string {
  return `reconciling:${miner}`;
}

/**
 * The small fact that this database came from a backup once. A message that only the lost database had can come to the mempool
 * at any time later: nodes keep what they were given and publish it anew.
 */
export const EVER_RESTORED = 'ever_restored';

/** The job's messages, by the field of its data. */
export type MessageField = 'preCommit' | 'proveCommit' | 'replicaUpdate';

/** A pre-commit as the chain has it: the ticket's value is drawn again from its epoch. */
export type ChainPreCommit = {
  readonly commR: string;
  /** Null: committed capacity. */
  readonly commD: string | null;
  readonly sealProof: number;
  readonly epoch: number;
  readonly ticket: { readonly value: string; readonly epoch: number };
};

/** A message in the field's terms; `src/chain` turns it into CBOR, value and gas. */
export type MessageWant =
  | {
      readonly method: 'PreCommitSectorBatch2';
      readonly miner: MinerId;
      readonly number: number;
      readonly sealProof: number;
      readonly commR: string;
      /** Null for a CC sector. */
      readonly commD: string | null;
      readonly ticketEpoch: number;
    }
  | {
      readonly method: 'ProveCommitSectors3';
      readonly miner: MinerId;
      readonly number: number;
      readonly pieces: readonly { readonly cid: string; readonly paddedSizeBytes: string }[];
      readonly proofBase64: string;
    }
  | {
      readonly method: 'ProveReplicaUpdates3';
      readonly miner: MinerId;
      readonly number: number;
      /** Number of the update proof, 0 … 4. */
      readonly updateProof: number;
      /** Of the update. */
      readonly commR: string;
      readonly pieces: readonly { readonly cid: string; readonly paddedSizeBytes: string }[];
      readonly proofBase64: string;
    };

/** A signed message, stored before it is pushed. */
export type SignedMessage = {
  readonly sender: string;
  readonly nonce: number;
  readonly cid: string;
  /** The whole SignedMessage as Lotus' JSON, pushed as it is. */
  readonly signed: string;
  readonly pushed: boolean;
};

export type EffectRow = {
  readonly id: EffectId;
  readonly job: JobId | null;
  /** State (and purpose) that wanted it: `SubmitPC`, `CheckPC`, `AssignTicket`… */
  readonly step: string;
  readonly generation: number;
  /** 1, 2, …: a new try only when the one before is provably dead. */
  readonly try: number;
  readonly want: EffectWant;
  readonly status: 'open' | 'done' | 'failed' | 'cancelled';
  readonly signed: SignedMessage | null;
  /** Not before this time. */
  readonly dueMs: number;
  /** Failed performances that counted. */
  readonly failures: number;
  readonly lastError: string | null;
  readonly createdMs: number;
  /** Id of the request that wanted it. */
  readonly request: string | null;
};

/** The message that later nonces of its sender wait for: whose it is, and what the node says against it; null: it is in the mempool. */
export type HeldBy = { readonly sender: string; readonly nonce: number; readonly job: JobId | null; readonly why: string | null };

/** What a performer reports. `wait` is not a failure and is not counted. */
export type EffectOutcome =
  | { readonly outcome: 'number'; readonly taken: boolean }
  | { readonly outcome: 'ticket'; readonly value: string; readonly epoch: number }
  | { readonly outcome: 'oldTicket'; readonly ticket: { readonly value: string; readonly epoch: number } | null }
  | { readonly outcome: 'sector'; readonly sector: ChainSector | null }
  | {
      readonly outcome: 'reconciled';
      readonly preCommit: ChainPreCommit | null;
      readonly sector: ChainSector | null;
      /** The chain has given the number out. */
      readonly taken: boolean;
      /** The job's own messages that landed; an exit code of 0 holds for its sector too. */
      readonly messages: readonly { readonly cid: string; readonly epoch: number; readonly exitCode: number }[];
      /** Artifacts of the job whose objects are gone. */
      readonly missing: readonly string[];
    }
  | { readonly outcome: 'seed'; readonly value: string; readonly epoch: number }
  /** Instead of a seed: the sector is proven already; `commR`: of its replica. */
  | { readonly outcome: 'proven'; readonly commR: string; readonly epoch: number }
  | { readonly outcome: 'pushed' }
  /** Instead of `pushed`, nothing being signed: a message that only a lost database had came up after the job was compared with the chain. */
  | { readonly outcome: 'compareAgain'; readonly sender: string; readonly reason: string }
  | { readonly outcome: 'landed'; readonly epoch: number; readonly exitCode: number; readonly onChain: boolean; readonly detail: string }
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'declared' }
  /**
   * `pending`: the message that is followed is in the mempool, in no block yet. `heldBy`: an earlier message of the sender has to go
   * first. `code`: what the chain says has to be waited for, such as `insufficient_funds`, told in `reason`; absent where nothing is amiss.
   */
  | {
      readonly outcome: 'wait';
      readonly forMs: number;
      readonly reason: string;
      readonly pending?: true;
      readonly heldBy?: HeldBy;
      readonly code?: string;
    }
  | { readonly outcome: 'error'; readonly category: ErrorCategory; readonly code: string; readonly message: string };
