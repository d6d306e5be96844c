/**
 * A chain in memory for one test: it keeps every push, gives nonces as a mempool does, and can lose what it
 * holds. Messages land when they are asked for; each question makes one more epoch.
 */
import type { MinerId } from '../../src/schema/ids.ts';
import type { ChainSector } from '../../src/schema/job.ts';
import type { MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import type { Chain, MessageState } from '../../src/scheduler/ports.ts';

export const EPOCH_MS = 1;

/** The epoch that every pre-commit's ticket was drawn at. */
export const TICKET_EPOCH = 40;

/** A ticket that tells its epoch. */
export const ticketValue = (epoch: number): string => epoch.toString(16).padStart(64, '0');

/** A sector that was never upgraded, proven since `activationEpoch`. */
export function chainSector(commR: string, activationEpoch: number): ChainSector {
  const expirationEpoch = activationEpoch + 1_000_000;
  return { sealProof: 5, commR, keyCommR: null, activationEpoch, expirationEpoch, deadline: 0, partition: 0, proven: true };
}

export class FakeChain {
  /** Every push that arrived, in order. */
  readonly pushes: SignedMessage[] = [];
  /** Every message that was ever signed, pushed or not. */
  readonly signed: { message: SignedMessage; want: MessageWant }[] = [];
  /** Messages in the mempool or on chain, by CID. */
  readonly held = new Map<string, SignedMessage>();
  /** Questions asked about a message since it arrived. */
  readonly #asked = new Map<string, number>();
  epoch = 100;

  sender(miner: MinerId): Promise<string> {
    return Promise.resolve(`t3-worker-of-${miner}`);
  }

  nonce(sender: string): number {
    return [...this.held.values()].filter((held) => held.sender === sender).reduce((next, { nonce }) => Math.max(next, nonce + 1), 0);
  }

  async sign(want: MessageWant, nonceFloor: number): Promise<SignedMessage> {
    const sender = await this.sender(want.miner);
    const nonce = Math.max(this.nonce(sender), nonceFloor);
    // Signing again gives other bytes (fees differ): only stored bytes are ever the same.
    const cid = `bafy-${this.signed.length}`;
    const message = { sender, nonce, cid, signed: JSON.stringify({ cid, nonce, want }), pushed: false };
    this.signed.push({ message, want });
    return message;
  }

  push(message: SignedMessage): Promise<void> {
    this.pushes.push(message);
    const other = [...this.held.values()].find(
      ({ sender, nonce, cid }) => sender === message.sender && nonce === message.nonce && cid !== message.cid,
    );
    if (other !== undefined) {
      return Promise.reject(
        Object.assign(new Error(`nonce ${message.nonce} went to ${other.cid}`), { category: 'permanent', code: 'nonce_taken' }),
      );
    }
    this.held.set(message.cid, message);
    return Promise.resolve();
  }

  message(cid: string): Promise<MessageState> {
    if (!this.held.has(cid)) return Promise.resolve({ state: 'unknown' });
    const asked = (this.#asked.get(cid) ?? 0) + 1;
    this.#asked.set(cid, asked);
    if (asked === 1) return Promise.resolve({ state: 'pending' });
    return Promise.resolve({ state: 'landed', epoch: this.epoch, confidence: (asked - 2) * 3, exitCode: 0, sectorOk: true, detail: '' });
  }

  /** Messages that wait, whoever sent them. */
  readonly mempool = new Map<string, { cid: string; nonce: number; sender: string; sectors?: readonly number[] }>();

  /** The entry of a pre-commit that the chain holds. */
  #preCommitOf(cid: string, number: number) {
    const want = this.held.has(cid) ? this.signed.find(({ message }) => message.cid === cid)?.want : undefined;
    if (want?.method !== 'PreCommitSectorBatch2' || want.number !== number) return undefined;
    const { ticketEpoch, sealProof, commR, commD } = want;
    return { ticketEpoch, sealProof, commR, commD };
  }

  /** CommR by sector, as pre-committed and as proven. */
  preCommits = new Map<number, string>();
  sectors = new Map<number, string>();

  /** The parts of the port that effects use. */
  port(): Chain {
    return {
      head: () => Promise.resolve({ epoch: this.epoch }),
      network: () => Promise.resolve({ epochMs: EPOCH_MS, challengeDelay: 10, name: 'fake' }),
      ticket: () => Promise.resolve({ value: 'aa'.repeat(32), epoch: this.epoch - 900 }),
      ticketAt: (_miner, epoch) => Promise.resolve({ value: ticketValue(epoch), epoch }),
      pendingMessages: (sender) => {
        const waiting = [...this.mempool.values()].filter((message) => message.sender === sender);
        return Promise.resolve(waiting.map(({ cid, nonce, sectors = [] }) => ({ cid, nonce, sectors })));
      },
      preCommitMessage: (cid, number) => Promise.resolve(this.#preCommitOf(cid, number)),
      seed: () => Promise.resolve({ value: 'bb'.repeat(32), epoch: this.epoch }),
      allocated: (_miner, numbers) => Promise.resolve(numbers.filter((number) => this.preCommits.has(number))),
      sender: (miner) => this.sender(miner),
      sign: (want, floor) => this.sign(want, floor),
      push: (message) => this.push(message),
      message: (cid) => this.message(cid),
      preCommit: (_miner, number) => {
        const commR = this.preCommits.get(number);
        return Promise.resolve(
          commR === undefined ? undefined : { commR, commD: null, epoch: this.epoch, ticketEpoch: TICKET_EPOCH, sealProof: 5 },
        );
      },
      sector: (_miner, number) => {
        const commR = this.sectors.get(number);
        return Promise.resolve(commR === undefined ? undefined : chainSector(commR, this.epoch));
      },
    };
  }
}
