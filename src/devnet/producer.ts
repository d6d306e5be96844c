/**
 * Makes epochs: verifies the proofs that pending messages bring, then executes and records everything of
 * one epoch in one transaction. The clock runs only while this process does; the count is kept.
 */
import { EventEmitter } from 'node:events';
import { findAccount } from './accounts.ts';
import { MissingVerdict } from './actor/context.ts';
import { claimsOfMessage, executeMessage } from './execute.ts';
import type { Ledger } from './ledger.ts';
import { executable } from './mempool.ts';
import { markLanded, type MessageRow } from './messages.ts';
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
    return (claim) => {
      const verdict = this.#verdicts.get(claim.key);
      if (verdict === undefined) throw new MissingVerdict(claim.key);
      return verdict;
    };
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
    const { ledger, policy } = this.#options;
    const candidates = await this.#prepared(executable(ledger));
    const step = candidates.length === 0 ? atMost : 1;
    const before = ledger.epoch();
    const epoch = before + step;
    ledger.transaction(() => {
      this.#execute(candidates, epoch);
      endEpochs(ledger, policy, before, epoch);
      ledger.setEpoch(epoch);
    });
    this.#heads.emit('head', epoch);
    return step;
  }

  /** Verifies what the messages bring; a message whose proof cannot be verified now stays pending. */
  async #prepared(rows: readonly MessageRow[]): Promise<MessageRow[]> {
    const { ledger, policy, log } = this.#options;
    const ready: MessageRow[] = [];
    const blocked = new Set<string>();
    for (const row of rows) {
      const sender = findAccount(ledger, row.sender);
      if (sender === undefined || blocked.has(row.sender)) continue;
      try {
        const epoch = ledger.epoch() + 1;
        await this.verdicts(claimsOfMessage({ ledger, policy, epoch }, sender, row.signed.Message));
        ready.push(row);
      } catch (error) {
        blocked.add(row.sender);
        log(`message ${row.cid} stays pending: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return ready;
  }

  #execute(rows: readonly MessageRow[], epoch: number): void {
    const { ledger, policy, log } = this.#options;
    const verdictOf = (claim: ProofClaim): boolean => {
      const verdict = this.#verdicts.get(claim.key);
      if (verdict === undefined) throw new MissingVerdict(claim.key);
      return verdict;
    };
    for (const row of rows) {
      const sender = findAccount(ledger, row.sender);
      // An earlier one of the same sender was put off, so this one's turn has not come.
      if (sender === undefined || sender.nonce !== row.nonce) continue;
      try {
        ledger.transaction(() => {
          const receipt = executeMessage({ ledger, policy, epoch, verdictOf }, sender, row.signed.Message);
          markLanded(ledger, row.cid, epoch, receipt);
          log(`epoch ${epoch}: message ${row.cid} (method ${row.signed.Message.Method}) exit ${receipt.exitCode} ${receipt.reason}`);
        });
      } catch (error) {
        if (!(error instanceof MissingVerdict)) throw error;
      }
    }
  }
}
