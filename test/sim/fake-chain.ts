/**
 * A chain with a mempool, reorgs, null rounds and a node that can lag. It keeps every message that was ever
 * signed or pushed: what the oracle reads.
 */
import type { MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import type { Chain, MessageState } from '../../src/scheduler/ports.ts';
import type { MinerId } from '../../src/schema/ids.ts';
import { ChainError } from '../../src/chain/errors.ts';
import { BEGIN_MS } from './clock.ts';
import { type Active, CHALLENGE_DELAY, Ledger, type Receipt, type Sent, sectorKey, ticketGood } from './ledger.ts';
import { randomness, sha } from './replica.ts';

export const EPOCH_MS = 4_000;
/** Epochs on top of the seed's own until it is told. */
const SEED_CONFIDENCE = 6;
const FIRST_EPOCH = 10_000;
/** As long the port waits until it believes that a nonce went to another message. */
const TAKEN_CONFIDENCE_EPOCHS = 5;

/** The epoch of a moment, by the clock. */
export const epochAt = (ms: number): number => FIRST_EPOCH + Math.floor((ms - BEGIN_MS) / EPOCH_MS);

/** As the port of a node explains it. */
function refused(want: MessageWant, epoch: number, exitCode: number): ChainError {
  if (want.method === 'PreCommitSectorBatch2' && exitCode === 16 && !ticketGood(want.ticketEpoch, epoch))
    return new ChainError('permanent', 'ticket_expired', `the ticket of sector ${want.number} is of epoch ${want.ticketEpoch}`, {
      exitCode,
    });
  if (want.method === 'ProveCommitSectors3' && exitCode === 17)
    return new ChainError('permanent', 'no_pre_commit', `sector ${want.number} of ${want.miner} has no pre-commit on chain`);
  const category = exitCode === 18 ? 'temporary' : 'permanent';
  return new ChainError(category, 'actor_exit', `${want.method} would end with exit code ${exitCode}`, { exitCode });
}

type Tipset = { readonly epoch: number; readonly sent: readonly Sent[] };
export type Push = { readonly sent: Sent; readonly atMs: number };

export class FakeChain {
  epoch = FIRST_EPOCH;
  readonly pushes: Push[] = [];
  readonly given = new Set<string>();
  /** Sectors from before the begin. */
  readonly proven: ReadonlyMap<string, Active>;
  readonly #wants = new Map<string, { want: MessageWant; forcedExit: number | undefined }>();
  #tipsets: Tipset[] = [];
  #mempool = new Map<string, Sent>();
  #ledger: Ledger;
  #receipts = new Map<string, Receipt>();
  #nullRounds = 0;
  #forced = new Map<string, number>();
  #signed = 0;
  readonly #foreign: Sent[] = [];
  /** Other software sends with the very nonce of the next message that is signed. */
  raceNextSign = false;
  readonly #now: () => number;
  /** Told of each push as it arrives, before anything is done with it. */
  onPush: (push: Push) => void = () => undefined;
  /** Told of each message that is asked for. */
  onSign: (want: MessageWant) => void = () => undefined;
  /** Told when a message ended with an exit code that a script forced, or lost its nonce to other software. */
  onBadLuck: (kind: 'message_fails' | 'nonce_race', number: number) => void = () => undefined;

  constructor(now: () => number, proven: ReadonlyMap<string, Active> = new Map()) {
    this.#now = now;
    this.proven = proven;
    this.#ledger = new Ledger(this.given, proven);
  }

  sender(miner: string): string {
    return `t3${sha(`sender ${miner}`).slice(0, 20)}`;
  }

  /** The next epoch: a tipset with what can be executed, or a null round. */
  mine(): void {
    this.epoch = Math.max(this.epoch + 1, epochAt(this.#now()));
    if (this.#nullRounds > 0) {
      this.#nullRounds -= 1;
      return;
    }
    const sent: Sent[] = [];
    for (const one of [...this.#mempool.values()].sort((a, b) => a.message.nonce - b.message.nonce)) {
      const next = this.#ledger.nonce(one.message.sender);
      if (one.message.nonce < next) this.#mempool.delete(one.message.cid);
      if (one.message.nonce !== next) continue;
      this.#receipts.set(one.message.cid, this.#ledger.execute(one, this.epoch));
      if (one.want !== null && (one.forcedExit ?? 0) !== 0) this.onBadLuck('message_fails', one.want.number);
      this.#mempool.delete(one.message.cid);
      sent.push(one);
    }
    if (sent.length > 0) this.#tipsets.push({ epoch: this.epoch, sent });
  }

  /** Takes the last `depth` epochs back; their messages return to the mempool, or are lost with it. */
  reorg(depth: number, lose: boolean): void {
    const from = this.epoch - depth;
    const undone = this.#tipsets.filter(({ epoch }) => epoch > from);
    this.#tipsets = this.#tipsets.filter(({ epoch }) => epoch <= from);
    this.#ledger = new Ledger(this.given, this.proven);
    this.#receipts = new Map();
    for (const { epoch, sent } of this.#tipsets) {
      for (const one of sent) this.#receipts.set(one.message.cid, this.#ledger.execute(one, epoch));
    }
    if (!lose) for (const { sent } of undone) for (const one of sent) this.#mempool.set(one.message.cid, one);
  }

  nullRounds(count: number): void {
    this.#nullRounds += count;
  }

  loseMempool(): void {
    this.#mempool.clear();
  }

  /** Other software sends a message from this address. */
  foreign(sender: string): void {
    const nonce = this.nodeNonce(sender);
    const message = { sender, nonce, cid: `bafyforeign${this.#signed++}`, signed: '', pushed: true };
    const sent: Sent = { message, want: null, forcedExit: 0 };
    this.#foreign.push(sent);
    this.#mempool.set(message.cid, sent);
  }

  /** Other software takes a sector number. */
  take(miner: string, number: number): void {
    this.given.add(sectorKey(miner, number));
    this.#ledger.allocated.add(sectorKey(miner, number));
  }

  /** The next message of this method that is signed ends with this exit code. */
  forceExit(method: string, code: number): void {
    this.#forced.set(method, code);
  }

  /** `known`: whether the control plane still has this message. */
  calm(known: (cid: string) => boolean): void {
    // Other software, too, pushes again what the node has lost of its own; and what only a lost database had, the node
    // publishes anew: it keeps what it was given itself.
    const orphans = this.pushes.flatMap(({ sent }) => (known(sent.message.cid) ? [] : [sent]));
    for (const sent of [...this.#foreign, ...orphans]) {
      const { sender, nonce, cid } = sent.message;
      const rival = [...this.#mempool.values()].some(({ message }) => message.sender === sender && message.nonce === nonce);
      if (!rival && this.#ledger.spentIn(sender, nonce) === undefined) this.#mempool.set(cid, sent);
    }
    this.#forced.clear();
    this.raceNextSign = false;
    this.#nullRounds = 0;
  }

  nodeNonce(sender: string): number {
    let next = this.#ledger.nonce(sender);
    const pending = new Set(
      [...this.#mempool.values()].filter(({ message }) => message.sender === sender).map(({ message }) => message.nonce),
    );
    while (pending.has(next)) next += 1;
    return next;
  }

  /** What happened to a message, for oracles. */
  receipt(cid: string): Receipt | undefined {
    return this.#receipts.get(cid);
  }

  /** True when another message was executed with this one's nonce. */
  nonceSpent(message: SignedMessage): boolean {
    return !this.#receipts.has(message.cid) && this.#ledger.nonce(message.sender) > message.nonce;
  }

  mempool(): readonly SignedMessage[] {
    return [...this.#mempool.values()].map(({ message }) => message);
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  wantOf(cid: string): MessageWant | undefined {
    return this.#wants.get(cid)?.want;
  }

  /** The port. `lag` is how many epochs behind the node that answers is. */
  port(lag: () => number): Chain {
    const seen = (): { epoch: number; ledger: Ledger; receipts: Map<string, Receipt> } => this.#view(lag());
    const preCommit = async (miner: MinerId, number: number) => {
      const view = seen();
      return view.ledger.standing(sectorKey(miner, number), view.epoch);
    };
    return {
      head: async () => ({ epoch: seen().epoch }),
      network: async () => ({ epochMs: EPOCH_MS, challengeDelay: CHALLENGE_DELAY, name: 'simulated' }),
      ticket: async () => {
        const epoch = seen().epoch - 900;
        return { value: randomness('ticket', epoch), epoch };
      },
      ticketAt: async (_miner: MinerId, epoch: number) => ({ value: randomness('ticket', epoch), epoch }),
      seed: async (miner, number) => {
        const view = seen();
        const committed = view.ledger.standing(sectorKey(miner, number), view.epoch);
        if (committed === undefined) throw new ChainError('permanent', 'no_pre_commit', `sector ${number} has no pre-commit on chain`);
        const epoch = committed.epoch + CHALLENGE_DELAY;
        const missing = epoch + SEED_CONFIDENCE - view.epoch;
        return missing > 0 ? { waitEpochs: missing } : { value: randomness('seed', epoch), epoch };
      },
      sender: async (miner) => this.sender(miner),
      sign: async (want, floor) => this.#sign(want, floor),
      push: async (message) => this.#push(message),
      message: async (cid) => this.#message(cid, seen()),
      preCommit,
      preCommitMessage: async (cid: string) => {
        const want = this.#wants.get(cid)?.want;
        return want?.method === 'PreCommitSectorBatch2' && this.#receipts.get(cid)?.exitCode === 0 ? want : undefined;
      },
      sector: async (miner, number) => {
        const active = seen().ledger.sectors.get(sectorKey(miner, number));
        if (active === undefined) return undefined;
        return { ...active, expirationEpoch: 2_000_000, deadline: 0, partition: 0, proven: true };
      },
      pendingMessages: async (sender: string) =>
        [...this.#mempool.values()].flatMap(({ message: { cid, nonce, sender: by }, want }) =>
          by === sender ? [{ cid, nonce, sectors: want === null ? [] : [want.number] }] : [],
        ),
      allocated: async (miner, numbers) => numbers.filter((number) => seen().ledger.allocated.has(sectorKey(miner, number))),
    };
  }

  #view(lag: number): { epoch: number; ledger: Ledger; receipts: Map<string, Receipt> } {
    // After a jump in time the epochs in between had no blocks for us; the next one has.
    this.epoch = Math.max(this.epoch, epochAt(this.#now()) - 1);
    if (lag === 0) return { epoch: this.epoch, ledger: this.#ledger, receipts: this.#receipts };
    const ledger = new Ledger(this.given, this.proven);
    const receipts = new Map<string, Receipt>();
    for (const { epoch, sent } of this.#tipsets) {
      if (epoch > this.epoch - lag) break;
      for (const one of sent) receipts.set(one.message.cid, ledger.execute(one, epoch));
    }
    return { epoch: this.epoch - lag, ledger, receipts };
  }

  #sign(want: MessageWant, floor: number): SignedMessage {
    this.onSign(want);
    const sender = this.sender(want.miner);
    const forcedExit = this.#forced.get(want.method);
    // Gas is estimated by running the message: what would fail now is not signed.
    const epoch = this.#view(0).epoch + 1;
    const exitCode = this.#ledger.refusal(want, epoch);
    if (exitCode !== 0) throw refused(want, epoch, exitCode);
    this.#forced.delete(want.method);
    // Fees differ each time, and with them the bytes.
    const cid = `bafymessage${(this.#signed += 1)}`;
    this.#wants.set(cid, { want, forcedExit });
    const nonce = Math.max(this.nodeNonce(sender), floor);
    if (this.raceNextSign) {
      this.raceNextSign = false;
      this.foreign(sender);
      this.onBadLuck('nonce_race', want.number);
    }
    return { sender, nonce, cid, signed: '{"Message":{"Value":"1500000000000000000"}}', pushed: false };
  }

  #push(message: SignedMessage): void {
    const { want, forcedExit } = this.#wants.get(message.cid) ?? { want: null, forcedExit: undefined };
    const sent: Sent = { message: { ...message, pushed: true }, want, forcedExit };
    const push = { sent, atMs: this.#now() };
    this.onPush(push);
    this.pushes.push(push);
    if (this.#receipts.has(message.cid) || this.#mempool.has(message.cid)) return;
    const rival = [...this.#mempool.values()].find(
      (other) => other.message.sender === message.sender && other.message.nonce === message.nonce,
    );
    if (rival !== undefined) throw new ChainError('temporary', 'rpc_error', `nonce ${message.nonce} is pending with another message`);
    const spentIn = this.#ledger.spentIn(message.sender, message.nonce);
    if (spentIn !== undefined) {
      const used = `nonce ${message.nonce} of ${message.sender} went to another message`;
      // A reorg may yet give it back.
      if (this.epoch - spentIn < TAKEN_CONFIDENCE_EPOCHS)
        throw new ChainError('temporary', 'nonce_used', used, { waitEpochs: TAKEN_CONFIDENCE_EPOCHS });
      throw new ChainError('permanent', 'nonce_taken', used);
    }
    this.#mempool.set(message.cid, sent);
  }

  #message(cid: string, view: { epoch: number; receipts: Map<string, Receipt> }): MessageState {
    const receipt = view.receipts.get(cid);
    if (receipt === undefined) return { state: this.#mempool.has(cid) || this.#receipts.has(cid) ? 'pending' : 'unknown' };
    const { epoch, exitCode, sectorOk } = receipt;
    return {
      state: 'landed',
      epoch,
      confidence: view.epoch - epoch,
      exitCode,
      sectorOk,
      detail: exitCode === 0 ? '' : `exit code ${exitCode}`,
    };
  }
}
