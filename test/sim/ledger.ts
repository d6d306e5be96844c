/** The chain's state: what executing messages in order makes of it. Small enough to be computed anew after a reorg. */
import type { MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import { commDOf, proofOf, randomness, updateProofOf } from './replica.ts';

/** Epochs between pre-commit and seed. */
export const CHALLENGE_DELAY = 10;
/** A ticket is taken up to this age, when the message is executed (builtin-actors, MAX_PRE_COMMIT_RANDOMNESS_LOOKBACK). */
const OLDEST_TICKET = 3_780;
/** Epochs to prove a pre-commit in: 30 days and the mainnet's challenge delay (builtin-actors, max_prove_commit_duration). */
export const PROVE_WITHIN = 86_550;
/** So much later it is taken away, and its deposit burns (builtin-actors, EXPIRED_PRE_COMMIT_CLEAN_UP_DELAY). */
const CLEANED_UP_AFTER = 960;

export type Sent = {
  readonly message: SignedMessage;
  /** Null: a message of other software that signs for the same address. */
  readonly want: MessageWant | null;
  /** What execution ends with, whatever the state says. */
  readonly forcedExit: number | undefined;
};
export type Receipt = { readonly epoch: number; readonly exitCode: number; readonly sectorOk: boolean };
export type PreCommitted = {
  readonly commR: string;
  readonly commD: string | null;
  readonly epoch: number;
  readonly ticketEpoch: number;
  readonly sealProof: number;
};
export type Active = {
  readonly commR: string;
  readonly keyCommR: string | null;
  readonly activationEpoch: number;
  readonly sealProof: number;
};

/** Whether a pre-commit with this ticket may be executed in `epoch`. */
export const ticketGood = (ticketEpoch: number, epoch: number): boolean => ticketEpoch <= epoch && epoch <= ticketEpoch + OLDEST_TICKET;

/** Whether a pre-commit may still be proven in `epoch`. */
export const isProvable = (committed: PreCommitted, epoch: number): boolean => epoch <= committed.epoch + PROVE_WITHIN;

export const sectorKey = (miner: string, number: number): string => `${miner}/${number}`;

export class Ledger {
  readonly nonces = new Map<string, number>();
  /** Epochs in which nonces were spent, by sender and nonce. */
  readonly #spent = new Map<string, number>();
  readonly preCommits = new Map<string, PreCommitted>();
  readonly sectors: Map<string, Active>;
  readonly allocated: Set<string>;

  /** `given`: numbers that other software took; `proven`: sectors from before the begin. */
  constructor(given: ReadonlySet<string>, proven: ReadonlyMap<string, Active>) {
    this.allocated = new Set([...given, ...proven.keys()]);
    this.sectors = new Map(proven);
  }

  nonce(sender: string): number {
    return this.nonces.get(sender) ?? 0;
  }

  /** The pre-commit that stands in `epoch`: neither proven nor gone with its deposit. */
  standing(key: string, epoch: number): PreCommitted | undefined {
    const committed = this.preCommits.get(key);
    return committed !== undefined && epoch <= committed.epoch + PROVE_WITHIN + CLEANED_UP_AFTER ? committed : undefined;
  }

  /** The epoch in which the nonce was spent. */
  spentIn(sender: string, nonce: number): number | undefined {
    return this.#spent.get(`${sender} ${nonce}`);
  }

  /** Executes in epoch `epoch`; the nonce is spent whatever comes of it. */
  execute(sent: Sent, epoch: number): Receipt {
    const { sender, nonce } = sent.message;
    this.nonces.set(sender, nonce + 1);
    this.#spent.set(`${sender} ${nonce}`, epoch);
    const exitCode = sent.forcedExit ?? this.refusal(sent.want, epoch);
    if (exitCode !== 0 || sent.want === null) return { epoch, exitCode, sectorOk: exitCode === 0 };
    this.#apply(sent.want, epoch);
    return { epoch, exitCode, sectorOk: true };
  }

  /** Exit code that this message would end with now; 0 when it would go through. */
  refusal(want: MessageWant | null, epoch: number): number {
    if (want === null) return 0;
    const key = sectorKey(want.miner, want.number);
    switch (want.method) {
      case 'PreCommitSectorBatch2':
        if (this.allocated.has(key)) return 16;
        return ticketGood(want.ticketEpoch, epoch) ? 0 : 16;
      case 'ProveCommitSectors3': {
        const committed = this.standing(key, epoch);
        if (committed === undefined) return 17;
        if (!isProvable(committed, epoch)) return 16;
        const seedEpoch = committed.epoch + CHALLENGE_DELAY;
        if (epoch <= seedEpoch) return 18;
        if (commDOf(want.pieces).cid !== (committed.commD ?? commDOf([]).cid)) return 16;
        return want.proofBase64 === proofOf(committed.commR, randomness('seed', seedEpoch)) ? 0 : 16;
      }
      case 'ProveReplicaUpdates3': {
        const sector = this.sectors.get(key);
        if (sector === undefined || sector.keyCommR !== null) return 16;
        return want.proofBase64 === updateProofOf(sector.commR, want.commR, commDOf(want.pieces).cid) ? 0 : 16;
      }
      default:
        return 21;
    }
  }

  #apply(want: MessageWant, epoch: number): void {
    const key = sectorKey(want.miner, want.number);
    if (want.method === 'PreCommitSectorBatch2') {
      this.allocated.add(key);
      const { commR, commD, ticketEpoch, sealProof } = want;
      this.preCommits.set(key, { commR, commD, ticketEpoch, sealProof, epoch });
    } else if (want.method === 'ProveCommitSectors3') {
      const { commR, sealProof } = this.preCommits.get(key) as PreCommitted;
      this.preCommits.delete(key);
      this.sectors.set(key, { commR, keyCommR: null, activationEpoch: epoch, sealProof });
    } else {
      const sector = this.sectors.get(key) as Active;
      this.sectors.set(key, { ...sector, commR: want.commR, keyCommR: sector.commR });
    }
  }
}
