/**
 * What must hold between the control plane and runners that may be anybody's. It knows what was really said by whom, and who has a
 * credential that was stolen; of the control plane it reads events and rows. No code of the engine.
 */
import type { HeartbeatRequest, NextRequest } from '../../src/schema/runner.ts';
import type { SelfTest } from '../../src/schema/self-test.ts';
import { LeaseOracle } from './oracle-leases.ts';
import type { EventRow, Reader } from './reader.ts';
import type { FleetSettings, TestFault } from './script.ts';
import { TESTED } from './self-test-work.ts';

/** A call that the control plane answered, or refused as nobody's. */
export type Word = { readonly runner: string; readonly bootId: string; readonly credential: string; readonly atMs: number };

const LEASE_MS = 20_000;
/** A stage is taken away this much after its deadline at the latest: ticks that a full disk held up. */
const TAKEN_WITHIN_MS = 60_000;
/** Between two looks at the world more than this never counts: what passed in one jump was nobody's time. */
const MOST_STEP_MS = 6_000;

type Known = {
  readonly trust: string;
  status: string;
  /** Nothing is granted from here on, and why; until an operator lifts it. */
  closed: { readonly atMs: number; readonly why: string } | undefined;
  /** First and last word of each process since an operator looked last. */
  boots: Map<string, { firstMs: number; lastMs: number }>;
  liftedMs: number;
  /** The credential before each one that was kept. */
  readonly before: Map<string, string>;
  /** Credentials that somebody has come with. */
  readonly used: Set<string>;
  /** Credentials that were replaced, and when the next one was first used. */
  readonly replaced: Map<string, number>;
  /** Stages whose self-test it answered rightly. */
  readonly right: Set<string>;
  /** The same, whatever it answered since. */
  readonly everRight: Set<string>;
  /** Answers to tests that were not right and are on their way. */
  readonly answers: Map<string, { readonly stage: string; readonly how: TestFault; readonly atMs: number }>;
  /** Somebody else has had its credential. */
  stolen: boolean;
  /** An operator wanted it banned, whether or not that was answered. */
  banned: boolean;
  bannedMs: number;
};

type Progress = {
  activeMs: number;
  wholeMs: number;
  fraction: number;
  note: string | undefined;
  heardMs: number;
  /** Told to a control plane that died over it, which may have written it down. */
  unsure?: { fraction: number; note: string | undefined; atMs: number };
};
/** An answer that took longer may count as none. */
const ANSWER_COUNTS_MS = 200_000;

export class FleetOracle {
  readonly #settings: FleetSettings;
  readonly #selfTest: FleetSettings['selfTest'];
  readonly #broken: (promise: string, what: string) => void;
  readonly #note: (line: string) => void;
  /** Something went wrong with the next credential. */
  readonly trouble: (what: string) => void;
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Progress>();
  readonly leases: LeaseOracle;
  #lookedMs = 0;
  /** A runner's event came since the rows were compared. */
  #changed = false;
  #nowMs = (): number => 0;
  /** Its disk was lost: what runners have been given since the backup is unknown to it. */
  readonly #restored: boolean;

  constructor(parts: {
    settings: FleetSettings;
    nowMs: () => number;
    restored: boolean;
    broken: (promise: string, what: string) => void;
    note: (line: string) => void;
    trouble: (what: string) => void;
    before?: FleetOracle;
  }) {
    this.#settings = parts.settings;
    this.#selfTest = parts.settings.selfTest;
    this.#broken = parts.broken;
    this.leases = new LeaseOracle(parts.broken);
    this.#note = parts.note;
    this.trouble = parts.trouble;
    this.#nowMs = parts.nowMs;
    this.#restored = parts.restored;
    // What is so of the machines stays so; what the control plane was told is lost with its disk.
    const { before } = parts;
    for (const [id, known] of before === undefined ? [] : before.#known) {
      const { trust, stolen, banned, everRight } = known;
      this.#known.set(id, { ...fresh(trust), stolen, banned, right: new Set(everRight), everRight });
    }
  }

  /** An event of the history, in its order. */
  event(event: EventRow): void {
    const detail = (): Record<string, string> => JSON.parse(event.detail) as Record<string, string>;
    if (event.runner !== null && event.job === null) this.#ofRunner(event, event.runner, detail());
    else if (event.kind === 'attempt') this.#ofAttempt(event, detail());
  }

  #ofRunner(event: EventRow, id: string, detail: Record<string, string>): void {
    if (event.kind === 'runner_registered') {
      const before = this.#known.get(id);
      this.#known.set(id, { ...(before ?? fresh(String(detail.trust))), status: 'ready' });
      return;
    }
    const known = this.#known.get(id);
    if (known === undefined || event.kind !== 'runner_status') return;
    this.#changed = true;
    const { to = '', reason } = detail;
    if (known.status === 'banned' && to !== 'banned') this.#broken('ban', `${id} was banned for good, and is ${to} now`);
    known.status = to;
    if (to === 'banned') known.bannedMs = event.at_ms;
    if (to === 'ready') this.#lifted(known, event.at_ms);
    if (to === 'quarantined' && /credential/.test(reason ?? '') && !known.stolen)
      this.#broken('theft', `${id} is quarantined (${reason}), and nobody but itself ever had its credential`);
  }

  /** Whoever lifts it has looked at all that was said until then, also where it is answered later. */
  #lifted(known: Known, atMs: number): void {
    known.liftedMs = atMs;
    known.closed = undefined;
    known.boots = new Map();
    known.answers.clear();
  }

  #ofAttempt(event: EventRow, detail: Record<string, string>): void {
    const { attempt = '', runner = '', stage = '', status = '', reason = '' } = detail;
    const known = this.#known.get(runner);
    if (known === undefined) return;
    const whose = `${stage} of ${event.job} (${attempt}, ${runner})`;
    if (status === 'running') {
      this.leases.granted(attempt, stage, event.at_ms);
      if (known.status !== 'ready') this.#broken('fleet', `${whose} was granted while the runner is ${known.status}`);
      if (known.closed !== undefined && event.at_ms > known.closed.atMs)
        this.#broken('fleet', `${whose} was granted although ${known.closed.why}`);
      if (this.#heldTo(known) && TESTED.has(stage) && !known.right.has(stage))
        this.#broken('self-test', `${whose} was granted before the runner answered a self-test of ${stage} rightly`);
      this.#running.set(attempt, { activeMs: 0, wholeMs: 0, fraction: 0, note: undefined, heardMs: event.at_ms });
      return;
    }
    this.leases.ended(attempt, { status, reason, atMs: event.at_ms, whose });
    const progress = this.#running.get(attempt);
    this.#running.delete(attempt);
    if (status === 'done' && (known.status === 'quarantined' || known.status === 'banned'))
      this.#broken('fleet', `the result of ${whose} was taken from a runner that is ${known.status}`);
    const { progressMs } = this.#settings;
    if (
      /got no further/.test(reason) &&
      progress !== undefined &&
      progressMs !== undefined &&
      event.at_ms - progress.heardMs < progressMs - 1_000
    )
      this.#broken('progress', `${whose} was taken away for want of progress, ${event.at_ms - progress.heardMs} ms after it told of some`);
  }

  #heldTo({ trust }: Known): boolean {
    return this.#selfTest === 'all' || (this.#selfTest === 'rented' && trust === 'rented');
  }

  /** Whether attempts that get no further are taken away in time. `up`: the control plane answers. */
  look(reader: Reader, up: boolean): void {
    const stepMs = up ? Math.min(MOST_STEP_MS, this.#nowMs() - this.#lookedMs) : 0;
    this.#lookedMs = this.#nowMs();
    if (this.#changed) this.#compare(reader);
    const { progressMs = Number.POSITIVE_INFINITY, stageMs = Number.POSITIVE_INFINITY } = this.#settings;
    const running = reader.running();
    this.leases.look(running, stepMs);
    if (this.#settings.progressMs === undefined) return;
    for (const { id, stage, runner } of running) {
      const progress = this.#running.get(id);
      if (progress === undefined) continue;
      progress.activeMs += stepMs;
      progress.wholeMs += stepMs;
      if (progress.activeMs > progressMs + TAKEN_WITHIN_MS)
        this.#broken('progress', `${id} (${stage} on ${runner}) has shown no progress for ${progress.activeMs} ms and is still granted`);
      if (progress.wholeMs > stageMs + TAKEN_WITHIN_MS)
        this.#broken('progress', `${id} (${stage} on ${runner}) has taken ${progress.wholeMs} ms and is still granted`);
    }
  }

  #compare(reader: Reader): void {
    this.#changed = false;
    for (const { id, status } of reader.runners()) {
      const told = this.#known.get(id)?.status;
      if (told !== status) this.#broken('fold', `runner ${id} is ${status}, its history says ${told}`);
    }
  }

  /** A runner's heartbeat, which came at `atMs`, was answered. */
  beatAnswered(attempts: HeartbeatRequest['attempts'], atMs: number): void {
    this.leases.answered(attempts, atMs);
    for (const { attempt, fraction = 0, note } of attempts) {
      const progress = this.#running.get(attempt);
      if (progress === undefined || (fraction <= progress.fraction && note === progress.note)) continue;
      const { unsure } = progress;
      progress.fraction = Math.max(progress.fraction, fraction);
      progress.note = note;
      progress.activeMs = 0;
      progress.heardMs = unsure !== undefined && fraction <= unsure.fraction && note === unsure.note ? unsure.atMs : atMs;
    }
  }

  /** A heartbeat came, and nobody was left to answer it. */
  beatFailed(attempts: HeartbeatRequest['attempts'], atMs: number, error: unknown): never {
    for (const { attempt, fraction = 0, note } of attempts) {
      const progress = this.#running.get(attempt);
      if (progress !== undefined) progress.unsure = { fraction, note, atMs };
    }
    throw error;
  }

  /** A runner got a URL of an attempt that is not its own, or one that leads elsewhere. */
  wrongUrl(attempt: string, what: string): void {
    this.#broken('urls', `${attempt}: ${what}`);
  }

  /** This word comes, and may be answered much later. */
  comes({ runner, credential }: Word): void {
    this.#known.get(runner)?.used.add(credential);
  }

  /** The control plane answered this word. */
  spoke({ runner, bootId, credential, atMs }: Word): void {
    const known = this.#known.get(runner);
    if (known === undefined) return;
    if (known.status === 'banned' && atMs > known.bannedMs) this.#broken('ban', `${runner} is banned, and was answered`);
    const usedMs = known.replaced.get(credential);
    if (usedMs !== undefined && usedMs < atMs) this.#broken('credential', `${runner} was answered with a credential that was replaced`);
    const older = known.before.get(credential);
    if (older !== undefined && !known.replaced.has(older)) known.replaced.set(older, atMs);
    if (atMs <= known.liftedMs) return;
    const boot = known.boots.get(bootId) ?? { firstMs: atMs, lastMs: atMs };
    boot.lastMs = Math.max(boot.lastMs, atMs);
    known.boots.set(bootId, boot);
    for (const [other, { firstMs, lastMs }] of known.boots) {
      const bothMs = Math.max(firstMs, boot.firstMs) + LEASE_MS;
      if (other !== bootId && lastMs > bothMs && boot.lastMs > bothMs)
        this.#close(known, Math.max(lastMs, boot.lastMs), `${other} and ${bootId} of it have both spoken`);
    }
  }

  /** The control plane refused it as nobody's. */
  refused({ runner, bootId, credential, atMs }: Word): void {
    const known = this.#known.get(runner);
    const usedMs = known?.replaced.get(credential);
    if (known === undefined || usedMs === undefined) return;
    const last = [...known.replaced.keys()].at(-1) === credential;
    // With the next but one the control plane knows nothing any more of this one.
    const after = (one: string): string | undefined => [...known.before].find(([, older]) => older === one)?.[0];
    if (known.used.has(after(after(credential) ?? '') ?? '')) return;
    if (last && !known.boots.has(bootId) && atMs > usedMs + LEASE_MS && known.boots.size > 0)
      this.#close(known, atMs, `${bootId} came with a credential that was replaced`);
  }

  #close(known: Known, atMs: number, why: string): void {
    if (known.closed === undefined) this.#note(`from now on nothing may be granted: ${why}`);
    known.closed ??= { atMs, why };
  }

  /** A `next` was answered: answers to tests count from here, those of a process that is not the last one perhaps not. */
  answered(runner: string, { bootId, tests = [] }: NextRequest): void {
    const known = this.#known.get(runner);
    if (known === undefined || known.stolen) return;
    const firstMs = known.boots.get(bootId)?.firstMs ?? this.#nowMs();
    if ([...known.boots.values()].some((boot) => boot.firstMs > firstMs)) return;
    for (const { id } of tests) {
      const answer = known.answers.get(id);
      if (answer === undefined || this.#nowMs() - answer.atMs > ANSWER_COUNTS_MS) continue;
      known.right.delete(answer.stage);
      if (answer.how !== 'failed' && answer.how !== 'slow' && known.trust === 'rented')
        this.#close(known, this.#nowMs(), `its answer to self-test ${id} was wrong`);
    }
  }

  /** It answers a self-test now. */
  testAnswer(runner: string, { id, stage }: SelfTest, how: TestFault): void {
    const known = this.#known.get(runner);
    if (known === undefined) return;
    if (how !== 'right') {
      known.answers.set(id, { stage, how, atMs: this.#nowMs() });
      return;
    }
    known.right.add(stage);
    known.everRight.add(stage);
  }

  /** The next credential was kept, to be used from now on. */
  kept(runner: string, present: string, next: string): void {
    this.#known.get(runner)?.before.set(next, present);
  }

  /** What it had when it was told to end was taken back. */
  handedBack(attempts: readonly string[]): void {
    for (const id of attempts) if (this.#running.has(id)) this.#broken('hand back', `${id} was handed back, and is still granted`);
  }

  stolen(runner: string): void {
    const known = this.#known.get(runner);
    if (known !== undefined) known.stolen = true;
  }

  banning(runner: string): void {
    const known = this.#known.get(runner);
    if (known !== undefined) known.banned = true;
  }

  /** What is known of it by its deeds and the history. */
  standing(runner: string): Readonly<Pick<Known, 'status' | 'stolen' | 'banned'>> | undefined {
    return this.#known.get(runner);
  }

  /** Its own process was refused: only whose credential was stolen or who was banned may be. */
  died(runner: string): void {
    const known = this.#known.get(runner);
    if (known === undefined || known.stolen || known.banned || this.#restored) return;
    this.#broken('credential', `${runner} was refused with its own credential`);
  }
}

function fresh(trust: string): Known {
  return {
    trust,
    status: 'ready',
    closed: undefined,
    boots: new Map(),
    liftedMs: 0,
    before: new Map(),
    used: new Set(),
    replaced: new Map(),
    right: new Set(),
    everRight: new Set(),
    answers: new Map(),
    stolen: false,
    banned: false,
    bannedMs: 0,
  };
}
