/**
 * A runner as the agent is one: a long poll for grants, reports as soon as a stage ends, heartbeats on a
 * timer, the same report again until it was answered, self-tests, the next credential kept before it is used, and stages
 * handed back when it is told to end. Its network loses, doubles and delays calls, or is cut.
 */
import type { AttemptId } from '../../src/schema/ids.ts';
import type { Grant, NextAnswer, NextRequest, Report } from '../../src/schema/runner.ts';
import type { SelfTest, SelfTestAnswer } from '../../src/schema/self-test.ts';
import type { Stage } from '../../src/schema/stage.ts';
import { FakeErrands } from './fake-errands.ts';
import { hashOf } from './replica.ts';
import { callOver } from './runner-network.ts';
import { LIES, SPOILT, sendOutput } from './runner-outputs.ts';
import type { Active, Early, RunnerParts } from './runner-parts.ts';
import { beatOf, interrupted, keepInCache, questionOf } from './runner-words.ts';
import type { StageFault } from './script.ts';
import { answerTest } from './self-test-work.ts';
import { fetchInputs, perform } from './stage-work.ts';
import { AttemptUrls } from './transfers.ts';

const HEARTBEAT_MS = 7_000;
const POLL_MS = 25_000;
const RETRY_MS = 1_000;
/** While it has nothing to do only every so many heartbeats are played. */
const IDLE_BEATS = 4;
const LAST_REPORTS_MS = 5_000;
/** Longest work by stage, in virtual milliseconds. */
const WORK_MS: Partial<Record<Stage, number>> = { PC1: 30_000, PC2: 15_000, C2: 10_000 };
const SHORT_WORK_MS = 4_000;
/** A long stage lasts three to five leases: only heartbeats keep it. */
const LONG_WORK_MS = [60_000, 100_000] as const;

/** One process of a runner. A reboot is a new one with the same credential. */
export class FakeRunner {
  alive = true;
  frozenUntilMs = 0;
  cutUntilMs = 0;
  diedMs = Number.POSITIVE_INFINITY;
  /** A word of it has come to the control plane. */
  heard = false;
  readonly bootId: string;
  readonly #parts: RunnerParts;
  #credential: string;
  readonly #errands: FakeErrands | undefined;
  readonly #active = new Map<AttemptId, Active>();
  readonly #sending = new Set<AttemptId>();
  readonly #gone = new AbortController();
  readonly #answers = new Map<string, SelfTestAnswer>();
  #testsAnswered = 0;
  #testing: Promise<void> = Promise.resolve();
  #polling = false;
  #beating = false;
  #stopping = false;
  #upgrading = false;
  #wake: () => void = () => undefined;

  constructor(parts: RunnerParts, bootId: string) {
    this.#parts = parts;
    this.#credential = parts.disk.credential;
    this.bootId = bootId;
    const { clock, rng, disks, errandFault } = parts;
    const life = { alive: () => this.alive, thaw: () => this.thaw(), die: () => this.die(), onAnswer: () => this.#reportSoon() };
    if (disks !== undefined) this.#errands = new FakeErrands({ clock, rng, disks, fault: errandFault, ...life });
    void this.#claim();
    void this.#beats();
  }

  get version(): string {
    return this.#parts.version;
  }

  /** Grants in its hands. */
  get holds(): number {
    return this.#active.size;
  }

  /** It has nothing to do beside its stages, and nothing to tell of that. */
  get errandsDone(): boolean {
    return this.#errands === undefined || (this.#errands.holds === 0 && !this.#errands.unsent);
  }

  /** The process dies, without a word. */
  die(): void {
    if (!this.alive) return;
    this.alive = false;
    this.diedMs = this.#parts.clock.nowMs;
    this.#gone.abort('gone');
    this.#wake();
  }

  /** It is told to end (a spot notice): what it has goes back, as far as the control plane answers in time. Then it is dead. */
  async term(): Promise<void> {
    if (!this.alive || this.#stopping) return;
    this.#stopping = true;
    this.#gone.abort('stopping');
    this.#wake();
    const { clock } = this.#parts;
    for (const active of this.#active.values()) active.report ??= interrupted(active.grant);
    const had = [...this.#active.keys()];
    const untilMs = clock.nowMs + LAST_REPORTS_MS;
    while (this.alive && this.#active.size > 0 && clock.nowMs < untilMs) {
      this.#sending.clear();
      await this.#next(this.#unsent(), 0, 0, new AbortController().signal);
      if (this.#active.size > 0) await clock.sleep(250);
    }
    if (this.#active.size === 0) this.#parts.told().handedBack(had);
    this.die();
  }

  async #claim(): Promise<void> {
    while (this.alive && !this.#stopping) {
      if (this.#upgrading && this.#active.size === 0) {
        this.die();
        this.#parts.onEnded();
        return;
      }
      const reports = this.#unsent();
      const free = this.#upgrading ? 0 : Math.max(0, this.#parts.slots - this.#active.size);
      const telling = reports.length > 0 || this.#answers.size > 0 || this.#errands?.unsent === true;
      if (free === 0 && !telling) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      this.#polling = !telling;
      const ok = await this.#next(reports, this.#upgrading ? 0 : free + reports.length, this.#polling ? POLL_MS : 0);
      this.#polling = false;
      if (!ok) await this.#parts.clock.sleep(RETRY_MS);
    }
  }

  #unsent(): Active[] {
    return [...this.#active.values()].filter(({ report, grant }) => report !== undefined && !this.#sending.has(grant.attempt));
  }

  async #next(reporting: readonly Active[], freeSlots: number, waitMs: number, gone = this.#gone.signal): Promise<boolean> {
    for (const { grant } of reporting) this.#sending.add(grant.attempt);
    const credential = this.#credential;
    const tests = [...this.#answers.values()].slice(0, 16);
    try {
      const reports = reporting.map(({ report }) => report as Report);
      const [running, askedMs] = [this.#running(), this.#parts.clock.nowMs];
      const word = { bootId: this.bootId, freeSlots, running, reports, tests, waitMs };
      const request = questionOf(this.#parts, this.#errands, word);
      const since = this.#parts.lostDatabases();
      const answer = await this.#ask(credential, request, gone);
      // Who hangs up hears nothing.
      if (!this.alive || gone.aborted) return true;
      this.#settle(reporting, answer);
      for (const { id } of tests) this.#answers.delete(id);
      for (const key of answer.forget ?? []) this.#parts.disk.cache?.delete(key);
      this.#errands?.sent(request.moved ?? [], request.checked ?? []);
      this.#errands?.begin(answer.moves ?? [], answer.checks ?? [], since);
      for (const test of answer.tests ?? []) this.#testing = this.#testing.then(() => this.#test(test));
      if (answer.upgrade !== undefined) this.#upgrading = true;
      for (const id of answer.cancel) this.#cancel(id);
      this.#goesOn(running, askedMs);
      for (const grant of answer.grants) void this.#work(grant);
      return true;
    } catch (error) {
      for (const { grant } of reporting) this.#sending.delete(grant.attempt);
      this.#refused(error, credential);
      return false;
    }
  }

  async #ask(credential: string, request: NextRequest, gone: AbortSignal): Promise<NextAnswer> {
    return callOver(this.#parts, this, 'net.next', credential, async (plane) => {
      const answered = await plane.next(credential, request, gone);
      this.#parts.told().answered(this.#parts.id, request);
      return answered;
    });
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

  /** It named these in a question that was answered. What has ended is only to be told yet. */
  #goesOn(named: readonly { attempt: AttemptId }[], askedMs: number): void {
    const works = named.filter(({ attempt }) => this.#active.get(attempt)?.report === undefined && this.#active.has(attempt));
    this.#parts.told().leases.goesOn(works, askedMs);
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
    if (!this.alive || this.#stopping || !this.#polling) return;
    const reports = this.#unsent();
    if (reports.length === 0 && this.#answers.size === 0 && this.#errands?.unsent !== true) return;
    void this.#next(reports, 0, 0).then(async (ok) => {
      if (ok) return;
      await this.#parts.clock.sleep(RETRY_MS);
      this.#reportSoon();
    });
  }

  async #work(grant: Grant): Promise<void> {
    if (this.#active.has(grant.attempt)) return;
    const { clock, rng, objects, trust, longStages } = this.#parts;
    const workMs = longStages && rng.chance(10) ? rng.between(...LONG_WORK_MS) : rng.between(50, WORK_MS[grant.stage] ?? SHORT_WORK_MS);
    const active: Active = { grant, urls: new AttemptUrls(grant), cancelled: false, sinceMs: clock.nowMs, workMs, pretends: false };
    this.#active.set(grant.attempt, active);
    const halfMs = grant.outputs.some(({ early }) => early === true) ? Math.floor(workMs / 2) : workMs;
    await clock.sleep(halfMs);
    await this.thaw();
    if (active.report !== undefined) return;
    const fault = this.#parts.fault(grant.attempt, trust);
    if (halfMs < workMs) {
      await this.#firstLayer(active, fault);
      await clock.sleep(workMs - halfMs);
      await this.thaw();
      if (active.report !== undefined) return;
    }
    if (fault === 'die') this.die();
    if (fault === 'pretends') active.pretends = true;
    if (fault === 'hang' || fault === 'stalls' || fault === 'pretends' || !this.alive || active.cancelled) return;
    const { attempt, epoch } = grant;
    const { urls } = active;
    const over = (): boolean => !this.alive || active.cancelled || active.report !== undefined;
    const files = await urls.use(over, () => fetchInputs(grant.inputs, (name) => objects.open(urls.input(name)), this.#parts.disk.cache));
    if (files === undefined || over()) return;
    const lie = fault !== undefined && LIES.has(fault) ? fault : undefined;
    const plain = fault !== undefined && lie === undefined && !SPOILT.has(fault);
    let made = plain
      ? { outcome: 'failed' as const, code: fault, message: `simulated ${fault}` }
      : 'outcome' in files
        ? files
        : perform(grant, files, this.#parts.disks, lie);
    if (made.outcome === 'done') {
      try {
        const { early } = active;
        const { outputs: contents } = made;
        const outputs = await urls.use(over, () =>
          [...contents].flatMap(([name, content]) => {
            if (name !== early?.checkpoint.output.name) return [sendOutput({ ...this.#parts, urls }, [name, content], fault)];
            return early.kept ? [] : [early.checkpoint.output];
          }),
        );
        if (outputs === undefined || over()) return;
        if (fault === 'extra_output') outputs.push({ name: 'unasked.dat', sizeBytes: '4', hash: hashOf('none'), parts: [] });
        if (!('outcome' in files)) keepInCache(this.#parts.disk.cache, grant, new Map([...files, ...made.outputs]));
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
    const credential = this.#credential;
    const { urls } = active;
    const over = (): boolean => !this.alive || active.cancelled || active.report !== undefined;
    const files = await urls.use(over, () =>
      fetchInputs(grant.inputs, (name) => this.#parts.objects.open(urls.input(name)), this.#parts.disk.cache),
    );
    if (files === undefined || 'outcome' in files) return;
    const lie = fault !== undefined && LIES.has(fault) ? fault : undefined;
    const made = perform(grant, files, this.#parts.disks, lie);
    const first = made.outcome === 'done' ? [...made.outputs].find(([name]) => name.includes('layer-1')) : undefined;
    if (first === undefined) return;
    try {
      const output = await urls.use(over, () => sendOutput({ ...this.#parts, urls }, first, fault));
      if (output === undefined) return;
      const early: Early = { checkpoint: { attempt: grant.attempt, epoch: grant.epoch, output }, kept: false };
      active.early = early;
      const { resources } = this.#parts.machine;
      const asked = { bootId: this.bootId, freeSlots: 0, running: this.#running(), reports: [], resources, waitMs: 0 };
      const answer = await this.#ask(credential, { ...asked, checkpoints: [early.checkpoint] }, this.#gone.signal);
      if (!this.alive) return;
      early.kept = answer.checkpoints?.some(({ status }) => status === 'accepted' || status === 'duplicate') ?? false;
      for (const id of answer.cancel) this.#cancel(id);
    } catch (error) {
      this.#refused(error, credential);
    }
  }

  #running(): { attempt: AttemptId; epoch: number }[] {
    return [...this.#active.values()].map(({ grant: { attempt, epoch } }) => ({ attempt, epoch }));
  }

  async #beats(): Promise<void> {
    const { clock, rotates } = this.#parts;
    for (let turn = 1; this.alive; turn += 1) {
      await clock.sleep(HEARTBEAT_MS);
      if (this.#active.size > 0 || (rotates && turn % IDLE_BEATS === 0)) await this.beat();
    }
  }

  /** One heartbeat, unless one is under way. */
  async beat(): Promise<void> {
    if (!this.alive || this.#beating) return;
    this.#beating = true;
    const credential = this.#credential;
    try {
      await this.thaw();
      const askedMs = this.#parts.clock.nowMs;
      const attempts = [...this.#active.values()].map((active) => beatOf(active, this.#parts));
      const others = this.#parts.nosy();
      const answer = await callOver(this.#parts, this, 'net.heartbeat', credential, async (plane) => {
        const cameMs = this.#parts.clock.nowMs;
        this.#parts.told().leases.came(attempts);
        const asked = { bootId: this.bootId, attempts: [...attempts, ...others] };
        const failed = (error: unknown): never => this.#parts.told().beatFailed(attempts, cameMs, error);
        const answered = await plane.heartbeat(credential, asked).catch(failed);
        this.#parts.told().beatAnswered(attempts, cameMs);
        return answered;
      });
      for (const { attempt, order, urls } of answer.attempts) {
        const wrong = (what: string): void => this.#parts.told().wrongUrl(attempt, what);
        if (urls !== undefined && others.some((one) => one.attempt === attempt)) wrong('somebody else got its URLs');
        if (urls !== undefined) this.#active.get(attempt)?.urls.renewed(urls, wrong);
        if (order === 'cancel') this.#cancel(attempt);
      }
      this.#goesOn(attempts, askedMs);
      if (answer.credential !== undefined) await this.#renew(credential, answer.credential);
    } catch (error) {
      this.#refused(error, credential);
    } finally {
      this.#beating = false;
    }
  }

  /** The next credential is on the disk before it is used: with its first use the present one is dead. */
  async #renew(present: string, next: string): Promise<void> {
    const { disk, clock, rng, told, id } = this.#parts;
    if (present !== this.#credential || next === present) return;
    await clock.sleep(rng.between(1, 40));
    if (!this.alive || present !== this.#credential) return;
    if (disk.keepFails > 0) {
      disk.keepFails -= 1;
      told().trouble('the next credential cannot be kept');
      return;
    }
    disk.credential = next;
    told().kept(id, present, next);
    if (disk.keepDies > 0) {
      disk.keepDies -= 1;
      told().trouble('it dies once the next credential is kept');
      this.die();
      this.#parts.onEnded();
      return;
    }
    this.#credential = next;
  }

  async #test(test: SelfTest): Promise<void> {
    const { clock, rng } = this.#parts;
    const durationMs = rng.between(100, 1_500);
    await clock.sleep(durationMs);
    await this.thaw();
    if (!this.alive || this.#stopping) return;
    const how = this.#parts.testing(this.#testsAnswered);
    this.#testsAnswered += 1;
    const answer = answerTest(test, how === 'turns' ? 'wrong' : how, durationMs);
    if (answer === undefined) return;
    this.#parts.told().testAnswer(this.#parts.id, test, how);
    this.#answers.set(test.id, answer);
    this.#reportSoon();
  }

  #refused(error: unknown, credential: string): void {
    if ((error as { code?: unknown }).code !== 'unauthorized' || !this.alive) return;
    // Another call of the same moment has taken the next one.
    if (credential !== this.#credential) return;
    this.die();
    this.#parts.onRefused();
  }

  async thaw(): Promise<void> {
    const { clock } = this.#parts;
    while (this.frozenUntilMs > clock.nowMs) await clock.sleep(this.frozenUntilMs - clock.nowMs);
  }
}
