/**
 * What must hold of the messages that reach the chain: for one sector and step never a second one while the
 * first may still land; nonces without a gap; nothing after an abort that its answer did not name; and the
 * deposit is paid for a true CommR only.
 */
import type { FakeChain, Push } from './fake-chain.ts';
import type { MessageWant } from '../../src/scheduler/effects.ts';
import { CHALLENGE_DELAY } from './ledger.ts';
import { commDOf, commROf, hexOfCid, proofOf, randomness, replicaId, updateId, updateProofOf } from './replica.ts';

export class ChainOracle {
  readonly #chain: FakeChain;
  /** Whether the database has the signed bytes, durably. */
  readonly #stored: (cid: string) => boolean;
  readonly #broken: (promise: string, what: string) => void;
  /** First pushes by sector and step, in order. */
  readonly #steps = new Map<string, Push[]>();
  readonly #pushed = new Set<string>();
  readonly #nonces = new Map<string, number>();
  /** The last message of ours by sender and nonce. */
  readonly #byNonce = new Map<string, string>();
  /** Jobs that were given up, with the messages that the answer named. */
  readonly #aborted = new Map<string, ReadonlySet<string>>();
  /** The job whose message it is, as the database has it. */
  readonly #jobOf: (cid: string) => string | undefined;

  constructor(chain: FakeChain, jobOf: (cid: string) => string | undefined, broken: (promise: string, what: string) => void) {
    this.#chain = chain;
    this.#jobOf = jobOf;
    this.#stored = (cid) => jobOf(cid) !== undefined;
    this.#broken = broken;
    chain.onPush = (push) => this.#look(push);
    chain.onSign = (want) => this.#paid(want);
  }

  /** An abort was answered: messages of this job that are out were named. Another job may take the sector. */
  aborted(job: string, named: readonly string[]): void {
    this.#aborted.set(job, new Set(named));
  }

  /** The database is an older one: of an abort that came after it nobody knows. */
  restored(aborted: (job: string) => boolean): void {
    for (const job of this.#aborted.keys()) if (!aborted(job)) this.#aborted.delete(job);
  }

  #look(push: Push): void {
    const { message, want } = push.sent;
    if (want === null || this.#pushed.has(message.cid)) return;
    this.#pushed.add(message.cid);
    if (!this.#stored(message.cid)) this.#broken('one message', `message ${message.cid} was sent, and the database does not have it`);
    const sector = `${want.miner}/${want.number}`;
    const named = this.#aborted.get(this.#jobOf(message.cid) ?? '');
    if (named !== undefined && !named.has(message.cid))
      this.#broken('abort', `message ${message.cid} of ${sector} was sent after its abort was answered, which did not name it`);
    this.#nonce(message.sender, message.nonce, message.cid);
    const step = `${sector} ${want.method}`;
    const before = this.#steps.get(step) ?? [];
    // Of two with one nonce the chain takes one at most, whatever reorgs do.
    const live = before.find(({ sent }) => sent.message.nonce !== message.nonce && !this.#dead(sent.message.cid, sent.message));
    if (live !== undefined) this.#broken('one message', `${step}: ${message.cid} was sent while ${live.sent.message.cid} may still land`);
    this.#steps.set(step, [...before, push]);
  }

  /** What money is paid for is true: judged when the message is asked for, whether it is sent or not. */
  #paid(want: MessageWant): void {
    const sector = { miner: want.miner, number: want.number };
    const name = `sector ${want.number} of ${want.miner}`;
    if (want.method === 'PreCommitSectorBatch2') {
      const commD = want.commD ?? commDOf([]).cid;
      const { cid } = commROf(replicaId(sector, randomness('ticket', want.ticketEpoch), commD));
      if (want.commR !== cid) this.#broken('deposit', `${name}: CommR ${hexOfCid(want.commR)} is not of this sector, ticket and data`);
    }
    if (want.method === 'ProveReplicaUpdates3') this.#updatePaid(want);
    if (want.method === 'ProveCommitSectors3') {
      const committed = this.#chain.ledger.preCommits.get(`${want.miner}/${want.number}`);
      // A reorg may have moved the pre-commit a little, and its seed with it.
      const epochs = Array.from({ length: 61 }, (_, at) => (committed?.epoch ?? 0) + CHALLENGE_DELAY + at - 30);
      const holds = epochs.some((epoch) => want.proofBase64 === proofOf(committed?.commR ?? '', randomness('seed', epoch)));
      if (committed !== undefined && !holds) this.#broken('gas', `${name}: a proof is sent that does not verify`);
      const [claimed, promised] = [commDOf(want.pieces).cid, committed?.commD ?? commDOf([]).cid];
      if (committed !== undefined && claimed !== promised)
        this.#broken('gas', `${name}: the pieces of its proof make CommD ${claimed}, pre-committed is ${promised}`);
    }
  }

  #updatePaid(want: Extract<MessageWant, { method: 'ProveReplicaUpdates3' }>): void {
    const sector = this.#chain.ledger.sectors.get(`${want.miner}/${want.number}`);
    if (sector === undefined || sector.keyCommR !== null) return;
    const commD = commDOf(want.pieces).cid;
    const name = `sector ${want.number} of ${want.miner}`;
    if (want.commR !== commROf(updateId(sector.commR, commD)).cid)
      this.#broken('gas', `${name}: an update is sent whose CommR is not of this data`);
    if (want.proofBase64 !== updateProofOf(sector.commR, want.commR, commD))
      this.#broken('gas', `${name}: an update's proof is sent that does not verify`);
  }

  #dead(cid: string, message: Push['sent']['message']): boolean {
    const receipt = this.#chain.receipt(cid);
    if (receipt !== undefined) return receipt.exitCode !== 0 || !receipt.sectorOk;
    // Of a database that was lost, and with it its message: what neither mempool nor chain has is gone.
    if (!this.#stored(cid) && !this.#chain.mempool().some((other) => other.cid === cid)) return true;
    return this.#chain.nonceSpent(message);
  }

  /** Each new message takes the next nonce; those of other software are the chain's. */
  #nonce(sender: string, nonce: number, cid: string): void {
    const next = Math.max(this.#nonces.get(sender) ?? 0, this.#chain.nodeNonce(sender));
    if (nonce > next) this.#broken('nonces', `${cid} has nonce ${nonce}, and nothing has ${next} yet`);
    const other = this.#byNonce.get(`${sender} ${nonce}`);
    // Of a database that was lost nobody knows what it sent.
    if (other !== undefined && this.#stored(other)) this.#broken('nonces', `${cid} has nonce ${nonce}, which ${other} of ours has`);
    this.#byNonce.set(`${sender} ${nonce}`, cid);
    this.#nonces.set(sender, Math.max(this.#nonces.get(sender) ?? 0, nonce + 1));
  }
}
