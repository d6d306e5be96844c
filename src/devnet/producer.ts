/**
 * Makes epochs as Filecoin does: the messages of a tipset are executed, in its own epoch, as the next one is
 * made. So the state of the head is that before its messages, and they are neither in the mempool nor have they
 * receipts. Everything of one epoch is one transaction. The clock runs only while this process does; the count
 * is kept.
 */
import { EventEmitter } from 'node:events';
import { findAccount, keepAccountStates } from './accounts.ts';
import { MissingVerdict } from './actor/context.ts';
import { bringsProofs, claimsOfMessage, executeTipset } from './execute.ts';
import type { Ledger } from './ledger.ts';
import { executable, nonceAfterHead } from './mempool.ts';
import { includedMessages, markIncluded, markLanded, markPendingAgain, type MessageRow } from './messages.ts';
import type { Policy } from './options.ts';
import type { ProofClaim } from './proof-claim.ts';
import type { ProofVerifier } from './proof-verifier.ts';
import { endEpochs } from './window-post.ts';

export type ProducerOptions = {
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly verify: ProofVerifier;
  readonly log: (line: string) => void;
};

/** Verdicts are kept for messages that are executed soon; older ones can be found out again. */
const MAX_VERDICTS = 10_000;

export class Producer {
  readonly #options: ProducerOptions;
  readonly #verdicts = new Map<string, boolean>();
  readonly #heads = new EventEmitter<{ head: [number] }>();
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #epochMs: number;
  #paused: boolean;
  #closed = false;

  constructor(options: ProducerOptions, epochMs: number, paused: boolean) {
    this.#options = options;
    this.#epochMs = epochMs;
    this.#paused = paused;
    this.#heads.setMaxListeners(0);
    this.#schedule();
  }

  get epochMs(): number {
    return this.#epochMs;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Changes the pace; it holds from the next epoch on. */
  setPace(pace: { epochMs?: number | undefined; paused?: boolean | undefined }): void {
    this.#epochMs = pace.epochMs ?? this.#epochMs;
    this.#paused = pace.paused ?? this.#paused;
    this.#schedule();
  }

  /**
   * Lets `count` epochs pass now, paused or not. Empty ones are passed over in one step; windows that close
   * and pre-commits that run out meanwhile do so each at its own epoch.
   */
  async advance(count: number): Promise<number> {
    return this.#inTurn(async () => {
      let left = count;
      while (left > 0) left -= await this.#produce(left);
      return this.#options.ledger.epoch();
    });
  }

  /** Resolves when a new head is there, or the chain is closed. */
  nextHead(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#heads.once('head', () => resolve());
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the proof claimed by a message holds; asks the verifier unless it was asked before. */
  async verdicts(claims: readonly ProofClaim[]): Promise<(claim: ProofClaim) => boolean> {
    for (const claim of claims) {
      if (this.#verdicts.has(claim.key)) continue;
      const holds = await this.#options.verify(claim);
      if (this.#verdicts.size >= MAX_VERDICTS) this.#verdicts.clear();
      this.#verdicts.set(claim.key, holds);
      this.#options.log(`${claim.kind} of sector ${claim.number} of ${claim.miner}: the proof ${holds ? 'holds' : 'does not hold'}`);
    }
    return (claim) => this.#verdictOf(claim);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#turn;
    this.#heads.emit('head', this.#options.ledger.epoch());
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#paused || this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#inTurn(() => this.#produce(1)).then(
        () => this.#schedule(),
        (error: unknown) => {
          // A full disk, say: the epoch was not made, the next try is the next tick.
          this.#options.log(`epoch not made: ${error instanceof Error ? error.message : String(error)}`);
          this.#schedule();
        },
      );
    }, this.#epochMs);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Makes one epoch with messages, or passes over up to `atMost` empty ones; answers how many. */
  async #produce(atMost: number): Promise<number> {
    const { ledger } = this.#options;
    const head = ledger.epoch();
    const due = await this.#judged(includedMessages(ledger), head, 'goes back to the mempool');
    const ready = await this.#candidates(due, head);
    const step = due.length === 0 && includedMessages(ledger).length === 0 && ready.length === 0 ? atMost : 1;
    const epoch = head + step;
    ledger.transaction(() => {
      this.#closeHead(due, head, epoch);
      this.#include(ready, epoch);
      ledger.setEpoch(epoch);
      keepAccountStates(ledger, epoch);
    });
    this.#heads.emit('head', epoch);
    return step;
  }

  /** Executes the head's messages and lets every epoch from the head on to `next` (without it) end. */
  #closeHead(due: readonly MessageRow[], head: number, next: number): void {
    const { ledger, policy, log } = this.#options;
    executeTipset({ ledger, policy, epoch: head, verdictOf: (claim) => this.#verdictOf(claim) }, due, (row, receipt) => {
      markLanded(ledger, row.cid, head, receipt);
      log(`epoch ${head}: message ${row.cid} (method ${row.signed.Message.Method}) exit ${receipt.exitCode} ${receipt.reason}`);
    });
    // What could not be judged, and what follows it: as after a reorg, they are as if they had never been in.
    for (const row of includedMessages(ledger)) markPendingAgain(ledger, row.cid);
    endEpochs(ledger, policy, head - 1, next - 1);
  }

  /** Puts messages into the tipset of `epoch`; a sender's go up to the first that was replaced meanwhile. */
  #include(ready: readonly MessageRow[], epoch: number): void {
    const { ledger } = this.#options;
    for (const row of ready) {
      const account = findAccount(ledger, row.sender);
      if (account !== undefined && nonceAfterHead(ledger, account) === row.nonce) markIncluded(ledger, row.cid, epoch);
    }
  }

  /** What may go into the next tipset, its proofs judged as of the state that it will execute on. */
  async #candidates(due: readonly MessageRow[], head: number): Promise<MessageRow[]> {
    const { ledger } = this.#options;
    const rows = executable(ledger);
    if (!rows.some(({ signed }) => bringsProofs(signed.Message))) return rows;
    const claims = ledger.dryRun(() => {
      this.#closeHead(due, head, head + 1);
      return new Map(rows.map((row) => [row.cid, this.#claimsOf(row, head + 1)]));
    });
    return this.#judged(rows, head + 1, 'stays pending', claims);
  }

  #claimsOf(row: MessageRow, epoch: number): ProofClaim[] {
    const { ledger, policy } = this.#options;
    const sender = findAccount(ledger, row.sender);
    return sender === undefined ? [] : claimsOfMessage({ ledger, policy, epoch }, sender, row.signed.Message);
  }

  /** Verifies what the messages bring; one whose proof cannot be verified now is left out, and its sender's later ones. */
  async #judged(
    rows: readonly MessageRow[],
    epoch: number,
    otherwise: string,
    claims?: ReadonlyMap<string, ProofClaim[]>,
  ): Promise<MessageRow[]> {
    const ready: MessageRow[] = [];
    const blocked = new Set<string>();
    for (const row of rows) {
      if (blocked.has(row.sender)) continue;
      try {
        await this.verdicts(claims?.get(row.cid) ?? this.#claimsOf(row, epoch));
        ready.push(row);
      } catch (error) {
        blocked.add(row.sender);
        this.#options.log(`message ${row.cid} ${otherwise}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return ready;
  }

  #verdictOf(claim: ProofClaim): boolean {
    const verdict = this.#verdicts.get(claim.key);
    if (verdict === undefined) throw new MissingVerdict(claim);
    return verdict;
  }
}
