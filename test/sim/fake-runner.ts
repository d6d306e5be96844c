/**
 * A runner as the agent is one: a long poll for grants, reports as soon as a stage ends, heartbeats on a
 * timer, the same report again until it was answered. Its network loses, doubles and delays calls.
 */
import type { AttemptId } from '../../src/schema/ids.ts';
import type { Checkpoint, Grant, NextAnswer, Report } from '../../src/schema/runner.ts';
import type { Stage } from '../../src/schema/stage.ts';
import type { VirtualClock } from './clock.ts';
import type { ControlPlane } from './control-plane.ts';
import type { FakeObjects } from './fake-objects.ts';
import type { Faults } from './faults.ts';
import type { Rng } from './prng.ts';
import { hashOf, sizeOf } from './replica.ts';
import type { StageFault } from './script.ts';
import { fetchInputs, perform } from './stage-work.ts';
import type { MinerStorage } from './work.ts';

export type RunnerParts = {
  readonly name: string;
  readonly trust: 'own' | 'rented';
  readonly slots: number;
  readonly credential: string;
  readonly clock: VirtualClock;
  readonly rng: Rng;
  readonly faults: Faults;
  readonly objects: FakeObjects;
  readonly storage: MinerStorage | undefined;
  /** The control plane as the network finds it now. */
  readonly plane: () => ControlPlane | undefined;
  /** The fault that this attempt is to suffer, if a script says so. */
  readonly fault: (attempt: AttemptId, trust: 'own' | 'rented') => StageFault | undefined;
  /** The credential was refused: nothing more is possible. */
  readonly onRefused: () => void;
};

type Active = { readonly grant: Grant; report?: Report; cancelled: boolean; early?: Early };
/** A layer that was sent while PC1 goes on. */
type Early = { readonly checkpoint: Checkpoint; kept: boolean };

const HEARTBEAT_MS = 7_000;
const POLL_MS = 25_000;
const RETRY_MS = 1_000;
const RESOURCES = { cores: 8, ramBytes: 1e11, diskFreeBytes: 1e12, gpus: [] };
/** Longest work by stage, in virtual milliseconds. */
const WORK_MS: Partial<Record<Stage, number>> = { PC1: 30_000, PC2: 15_000, C2: 10_000 };
const SHORT_WORK_MS = 4_000;
const LIES: ReadonlySet<StageFault> = new Set([
  'wrong_comm_r',
  'wrong_comm_d',
  'garbage',
  'forged',
  'bad_proof',
  'missing_output',
  'unparsable',
]);
const SPOILT: ReadonlySet<StageFault> = new Set(['garbage_hash', 'extra_output', 'wrong_size']);

/** One process of a runner. A reboot is a new one with the same credential. */
export class FakeRunner {
  alive = true;
  frozenUntilMs = 0;
  readonly #parts: RunnerParts;
  readonly #bootId: string;
  readonly #active = new Map<AttemptId, Active>();
  readonly #sending = new Set<AttemptId>();
  readonly #gone = new AbortController();
  #polling = false;
  #wake: () => void = () => undefined;

  constructor(parts: RunnerParts, boot: number) {
    this.#parts = parts;
    this.#bootId = `boot-${String(boot).padStart(4, '0')}`;
    void this.#claim();
    void this.#beats();
  }

  /** Grants in its hands. */
  get holds(): number {
    return this.#active.size;
  }

  /** The process dies, without a word. */
  die(): void {
    this.alive = false;
    this.#gone.abort('gone');
    this.#wake();
  }

  async #claim(): Promise<void> {
    while (this.alive) {
      const reports = this.#unsent();
      const free = Math.max(0, this.#parts.slots - this.#active.size);
      if (free === 0 && reports.length === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#polling = reports.length === 0;
      const ok = await this.#next(reports, free + reports.length, this.#polling ? POLL_MS : 0);
      this.#polling = false;
      if (!ok) await this.#parts.clock.sleep(RETRY_MS);
    }
  }

  #unsent(): Active[] {
    return [...this.#active.values()].filter(({ report, grant }) => report !== undefined && !this.#sending.has(grant.attempt));
  }

  async #next(reporting: readonly Active[], freeSlots: number, waitMs: number): Promise<boolean> {
    for (const { grant } of reporting) this.#sending.add(grant.attempt);
    try {
      const request = {
        bootId: this.#bootId,
        freeSlots,
        running: this.#running(),
        reports: reporting.map(({ report }) => report as Report),
        resources: RESOURCES,
        waitMs,
      };
      const answer = await this.#call('net.next', (plane) => plane.next(this.#parts.credential, request, this.#gone.signal));
      if (!this.alive) return true;
      this.#settle(reporting, answer);
      for (const id of answer.cancel) this.#cancel(id);
      for (const grant of answer.grants) void this.#work(grant);
      return true;
    } catch (error) {
      for (const { grant } of reporting) this.#sending.delete(grant.attempt);
      this.#refused(error);
      return false;
    }
  }

  #settle(reporting: readonly Active[], answer: NextAnswer): void {
    for (const { grant } of reporting) {
      const found = answer.reports.find(({ attempt }) => attempt === grant.attempt);
      if (found === undefined || found.status === 'retry_later') {
        this.#parts.clock.at(RETRY_MS, () => {
          this.#sending.delete(grant.attempt);
          this.#reportSoon();
        });
        continue;
      }
      this.#active.delete(grant.attempt);
      this.#sending.delete(grant.attempt);
    }
  }

  #cancel(id: AttemptId): void {
    const active = this.#active.get(id);
    if (active === undefined || active.report !== undefined) return;
    active.cancelled = true;
    this.#active.delete(id);
    this.#wake();
  }

  #reportSoon(): void {
    this.#wake();
    if (!this.alive || !this.#polling) return;
    const reports = this.#unsent();
    if (reports.length === 0) return;
    void this.#next(reports, 0, 0).then(async (ok) => {
      if (ok) return;
      await this.#parts.clock.sleep(RETRY_MS);
      this.#reportSoon();
    });
  }

  async #work(grant: Grant): Promise<void> {
    if (this.#active.has(grant.attempt)) return;
    const active: Active = { grant, cancelled: false };
    this.#active.set(grant.attempt, active);
    const { clock, rng, objects, trust } = this.#parts;
    const takesMs = rng.between(50, WORK_MS[grant.stage] ?? SHORT_WORK_MS);
    const halfMs = grant.outputs.some(({ early }) => early === true) ? Math.floor(takesMs / 2) : takesMs;
    await clock.sleep(halfMs);
    await this.#thaw();
    const fault = this.#parts.fault(grant.attempt, trust);
    if (halfMs < takesMs) {
      await this.#firstLayer(active, fault);
      await clock.sleep(takesMs - halfMs);
      await this.#thaw();
    }
    if (fault === 'die') this.die();
    if (fault === 'hang' || !this.alive || active.cancelled) return;
    const { attempt, epoch } = grant;
    const files = fetchInputs(grant.inputs, (url) => objects.open(url));
    const lie = fault !== undefined && LIES.has(fault) ? fault : undefined;
    const plain = fault !== undefined && lie === undefined && !SPOILT.has(fault);
    let made = plain
      ? { outcome: 'failed' as const, code: fault, message: `simulated ${fault}` }
      : 'outcome' in files
        ? files
        : perform(grant, files, this.#parts.storage, lie);
    if (made.outcome === 'done') {
      try {
        const { early } = active;
        const outputs = [...made.outputs].flatMap(([name, content]) => {
          if (name !== early?.checkpoint.output.name) return [this.#upload(grant, name, content, fault)];
          return early.kept ? [] : [early.checkpoint.output];
        });
        if (fault === 'extra_output') outputs.push({ name: 'unasked.dat', sizeBytes: '4', hash: hashOf('none'), parts: [] });
        active.report = { outcome: 'done', attempt, epoch, outputs, result: made.result };
      } catch {
        made = { outcome: 'failed', code: 'transfer_failed', message: 'an upload was refused' };
      }
    }
    if (made.outcome === 'failed') {
      const { code, message } = made;
      const input = 'input' in made && made.input !== undefined ? { input: made.input } : {};
      active.report = { outcome: 'failed', attempt, epoch, code: code as 'internal', message, ...input };
    }
    this.#reportSoon();
  }

  /** In the middle of PC1 its first layer is whole, if it was not given: it is sent, and told of once. */
  async #firstLayer(active: Active, fault: StageFault | undefined): Promise<void> {
    const { grant, cancelled } = active;
    if (!this.alive || cancelled) return;
    const files = fetchInputs(grant.inputs, (url) => this.#parts.objects.open(url));
    if ('outcome' in files) return;
    const lie = fault !== undefined && LIES.has(fault) ? fault : undefined;
    const made = perform(grant, files, this.#parts.storage, lie);
    const first = made.outcome === 'done' ? [...made.outputs].find(([name]) => name.includes('layer-1')) : undefined;
    if (first === undefined) return;
    try {
      const output = this.#upload(grant, ...first, fault);
      const early: Early = { checkpoint: { attempt: grant.attempt, epoch: grant.epoch, output }, kept: false };
      active.early = early;
      const asked = { bootId: this.#bootId, freeSlots: 0, running: this.#running(), reports: [], resources: RESOURCES, waitMs: 0 };
      const request = { ...asked, checkpoints: [early.checkpoint] };
      const answer = await this.#call('net.next', (plane) => plane.next(this.#parts.credential, request, this.#gone.signal));
      early.kept = answer.checkpoints?.some(({ status }) => status === 'accepted' || status === 'duplicate') ?? false;
      for (const id of answer.cancel) this.#cancel(id);
    } catch (error) {
      this.#refused(error);
    }
  }

  #running(): { attempt: AttemptId; epoch: number }[] {
    return [...this.#active.values()].map(({ grant: { attempt, epoch } }) => ({ attempt, epoch }));
  }

  #upload(
    grant: Grant,
    name: string,
    content: string,
    fault: StageFault | undefined,
  ): { name: string; sizeBytes: string; hash: string; parts: { number: number; etag: string }[] } {
    const slot = grant.outputs.find((output) => output.name === name);
    const sent = fault === 'garbage_hash' ? `other ${content}` : content;
    const size = sizeOf(name, sent);
    const etag = this.#parts.objects.receive(slot?.partUrls[0] ?? '', sent, size);
    const sizeBytes = size + (fault === 'wrong_size' ? 1 : 0);
    return { name, sizeBytes: String(sizeBytes), hash: hashOf(content), parts: [{ number: 1, etag }] };
  }

  async #beats(): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      await clock.sleep(HEARTBEAT_MS);
      if (!this.alive) return;
      await this.#thaw();
      if (this.#active.size === 0) continue;
      const attempts = [...this.#active.values()].map(({ grant: { attempt, epoch } }) => ({ attempt, epoch }));
      try {
        const answer = await this.#call('net.heartbeat', (plane) =>
          plane.heartbeat(this.#parts.credential, { bootId: this.#bootId, attempts }),
        );
        for (const { attempt, order } of answer.attempts) if (order === 'cancel') this.#cancel(attempt);
      } catch (error) {
        this.#refused(error);
      }
    }
  }

  #refused(error: unknown): void {
    if ((error as { code?: unknown }).code !== 'unauthorized' || !this.alive) return;
    this.die();
    this.#parts.onRefused();
  }

  async #thaw(): Promise<void> {
    const { clock } = this.#parts;
    while (this.frozenUntilMs > clock.nowMs) await clock.sleep(this.frozenUntilMs - clock.nowMs);
  }

  /** A call over a network that may lose the way there or back. */
  async #call<T>(port: 'net.next' | 'net.heartbeat', make: (plane: ControlPlane) => Promise<T>): Promise<T> {
    const { clock, rng, faults } = this.#parts;
    await this.#thaw();
    await clock.sleep(rng.between(2, 60));
    const fault = faults.take(port);
    const lost = (): Error => new Error('the network lost it');
    if (fault?.how === 'delay') await clock.sleep(fault.ms);
    const plane = this.#parts.plane();
    if (fault?.how === 'error' || plane === undefined) throw lost();
    if (fault?.how === 'twice')
      void clock.sleep(rng.between(1, 30_000)).then(() => {
        const later = this.#parts.plane();
        if (later !== undefined) make(later).catch(() => undefined);
      });
    const answer = await make(plane);
    await clock.sleep(rng.between(2, 60));
    if (fault?.how === 'lost') throw lost();
    await this.#thaw();
    return answer;
  }
}
