/**
 * What an agent does: it claims stages, reports them, and keeps their leases alive. Three things go on side by side:
 * a long poll that asks for grants while slots are free, reports that go out as soon as a stage ends (with
 * the next poll, or on their own while one is held open), and heartbeats on a timer of their own.
 */
import { randomUUID } from 'node:crypto';
import { ApiError } from '../api/client.ts';
import type { AttemptId } from '../schema/ids.ts';
import type { Grant, NextAnswer, NextRequest, Report } from '../schema/runner.ts';
import type { ArtifactCache } from './artifact-cache.ts';
import { type AttemptContext, RunningAttempt, aboutGrant } from './attempt.ts';
import { CannotRun } from './cannot-run.ts';
import { ControlPlane } from './control-plane.ts';
import { CheckpointMail } from './early-outputs.ts';
import { type Identity, keepIdentity, readIdentity } from './identity.ts';
import { KeptDownloads } from './kept-downloads.ts';
import { Backoff, Turnstile, pause } from './lanes.ts';
import { type AgentOptions, slotsOf } from './options.ts';
import type { OpenExecutor } from './executor.ts';
import { ProcessorPool } from './processors/pool.ts';
import { register } from './registration.ts';
import { NetworkWatch } from './network-speed.ts';
import { type Hardware, measureResources } from './resources.ts';
import { SideWork } from './side-work.ts';
import { StorageWatch } from './storage-paths.ts';
import { keepSwept } from './work-folders.ts';

/** Why an agent ended: it was stopped, or it has finished what it had and is to start anew with other files. */
export type AgentEnd = 'stopped' | 'upgrade';

/** Time for uploads that are under way when the agent stops, and for the last reports. */
const LAST_UPLOADS_MS = 25_000;
const LAST_REPORTS_MS = 5_000;
const RETRY_LATER_MS = 1_000;
/** Heartbeats that are due for one that is sent while there is nothing to keep alive. */
const IDLE_TURNS = 4;

/** One agent from its registration to its end. */
export class AgentLoop {
  identity!: Identity;
  readonly #options: AgentOptions;
  readonly #hardware: Hardware;
  readonly #network: NetworkWatch;
  readonly #isolation: OpenExecutor['isolation'];
  readonly #cache: ArtifactCache;
  readonly #bootId = randomUUID();
  readonly #controlPlane: ControlPlane;
  #context: AttemptContext;
  readonly #side: SideWork;
  readonly #active = new Map<AttemptId, RunningAttempt>();
  /** Reports on their way: not to be sent a second time meanwhile. */
  readonly #sending = new Set<AttemptId>();
  readonly #stopping = new AbortController();
  /** Wakes the claiming loop when it waits for a slot or a report. */
  #wake = new AbortController();
  #polling = false;
  #beating = false;
  /** Something came up while a heartbeat was on its way: another one follows. */
  #beatAgain = false;
  /** Takes nothing new: other files wait. */
  #upgrading = false;
  #toldOfUpgrade = false;
  /** The one time that the join token is used in this process. */
  #registration: Promise<Identity> | undefined;
  #turns = 0;
  #refused: Error | undefined;

  constructor(options: AgentOptions, hardware: Hardware, { executor, isolation }: OpenExecutor, cache: ArtifactCache) {
    this.#options = options;
    this.#cache = cache;
    this.#hardware = hardware;
    this.#isolation = isolation;
    this.#network = new NetworkWatch(options.measureNetwork === true);
    this.#controlPlane = new ControlPlane(options.url, undefined);
    this.#context = {
      dataDir: options.dataDir,
      prover: options.prover,
      storage: options.storage,
      watch: new StorageWatch(options.storage, options.dataDir),
      executor,
      heavy: new Turnstile(),
      patienceMs: options.patienceMs ?? 120_000,
      sendPatienceMs: options.sendPatienceMs ?? 30 * 60_000,
      silentMs: () => this.#controlPlane.silentMs,
      log: options.log,
      cache,
      tell: () => this.#reportSoon(),
      downloads: new KeptDownloads({ dataDir: options.dataDir }),
      beatSoon: () => void this.#beat(),
    };
    this.#side = new SideWork(
      () => this.#context,
      () => this.#reportSoon(),
      options.storageBytesPerS,
    );
  }

  async identify(): Promise<void> {
    this.identity = (await readIdentity(this.#options.dataDir)) ?? (await this.#register());
    this.#controlPlane.useCredential(this.identity.credential);
    const { processors: table, dataDir, prover, environment, graceMs = 5_000, log } = this.#options;
    if (table === undefined) return;
    const processors = new ProcessorPool(table, this.identity.labels ?? [], { dataDir, prover, environment, graceMs, log });
    this.#context = { ...this.#context, processors };
  }

  stop(): void {
    this.#stopping.abort();
    this.#wake.abort();
  }

  async run(): Promise<AgentEnd> {
    const heartbeats = setInterval(() => this.#turn(), this.identity.heartbeatMs);
    const stopSweeping = keepSwept(this.#options, this.#context.downloads);
    try {
      const backoff = new Backoff(250, 5_000);
      while (!this.#stopping.signal.aborted) {
        if (this.#upgrading && this.#active.size === 0) break;
        await this.#measureNetwork();
        const reports = this.#unsent();
        const telling = reports.length > 0 || this.#tells();
        if (this.#freeSlots() === 0 && !telling) {
          await this.#sleep(60_000);
          continue;
        }
        this.#polling = !telling;
        const slots = this.#freeSlots(reports.length);
        const ok = await this.#next(reports, slots, this.#polling ? this.identity.pollMs : 0);
        this.#polling = false;
        if (ok) backoff.reset();
        else await pause(backoff.nextMs(), this.#stopping.signal);
      }
      await this.#windUp();
    } finally {
      clearInterval(heartbeats);
      stopSweeping();
      await this.#side.stop();
      await this.#context.processors?.stop();
    }
    if (this.#refused !== undefined) throw this.#refused;
    return this.#upgrading && !this.#stopping.signal.aborted ? 'upgrade' : 'stopped';
  }

  /** Slots that nothing holds; an attempt holds its slot until its report was answered. `handed`: reports that go along. */
  #freeSlots(handed = 0): number {
    if (this.#upgrading) return 0;
    return Math.max(0, slotsOf(this.#options) - this.#active.size + handed);
  }

  #unsent(): RunningAttempt[] {
    return [...this.#active.values()].filter(({ report, grant }) => report !== undefined && !this.#sending.has(grant.attempt)).slice(0, 64);
  }

  /** Whether there is something to say beside reports. */
  #tells(): boolean {
    return this.#side.untold || new CheckpointMail(this.#active.values()).checkpoints.length > 0;
  }

  /** One call of `next`. False when it failed and should be tried again later. */
  async #next(reporting: readonly RunningAttempt[], freeSlots: number, waitMs: number, signal = this.#stopping.signal): Promise<boolean> {
    const { credential } = this.identity;
    for (const { grant } of reporting) this.#sending.add(grant.attempt);
    const beside = this.#side.unsent();
    const mail = new CheckpointMail(this.#active.values());
    const more = { ...mail.sent, ...beside };
    try {
      const answer = await this.#controlPlane.next({ ...(await this.#request(reporting, freeSlots, waitMs)), ...more }, signal);
      mail.answered(answer.checkpoints);
      this.#settleReports(reporting, answer);
      this.#side.settle(beside, answer);
      for (const attempt of answer.cancel) this.#cancel(attempt, 'the control plane took it away');
      for (const grant of answer.grants) this.#begin(grant);
      if (answer.upgrade !== undefined) this.#upgrade(answer.upgrade);
      // Last: what was granted is begun whatever becomes of old files.
      await this.#cache.forget(answer.forget ?? []);
      return true;
    } catch (error) {
      mail.answered(undefined);
      for (const { grant } of reporting) this.#sending.delete(grant.attempt);
      await this.#failedCall(error, credential);
      return false;
    }
  }

  async #request(reporting: readonly RunningAttempt[], freeSlots: number, waitMs: number): Promise<NextRequest> {
    const { software, dataDir } = this.#options;
    const { speeds } = this.#side;
    const measured = await measureResources(dataDir, this.#hardware, [this.#cache, this.#context.downloads]);
    const storage = await this.#context.watch.measure();
    // From here on nothing waits: a grant that came meanwhile, and is not among the running ones, would be taken for lost.
    return {
      bootId: this.#bootId,
      freeSlots,
      running: [...this.#active.values()].map(({ grant }) => ({ attempt: grant.attempt, epoch: grant.epoch })),
      reports: reporting.map(({ report }) => report as Report),
      resources: {
        ...measured,
        ...this.#network.measured,
        isolation: this.#isolation,
        ...(speeds === undefined ? {} : { speeds }),
      },
      waitMs,
      storage,
      ...this.#cache.told,
      ...(software === undefined ? {} : { software }),
    };
  }

  /** Drains where whatever started the agent starts it anew; else somebody is told once. */
  #upgrade(files: NonNullable<NextAnswer['upgrade']>): void {
    if (this.#toldOfUpgrade) return;
    this.#toldOfUpgrade = true;
    this.#upgrading = this.#options.software?.upgrades === true;
    const what = this.#upgrading ? 'it finishes what runs and starts anew' : 'it goes on with its own; update it and start it again';
    this.#options.log('info', `the control plane has other software for this runner: ${what}`, { ...files, stages: this.#active.size });
  }

  /** Between stages only: beside their transfers it would slow both and measure neither. */
  async #measureNetwork(): Promise<void> {
    if (this.#active.size > 0 || !this.#network.due) return;
    const { signal } = this.#stopping;
    const probe = async () => (await this.#controlPlane.next({ ...(await this.#request([], 0, 0)), probe: true }, signal)).probe;
    const failure = await this.#network.measure(probe, signal);
    if (failure !== undefined && !signal.aborted)
      this.#options.log('warn', `the way to the object store was not measured (${failure}); it is tried again later`);
  }

  #settleReports(reporting: readonly RunningAttempt[], answer: NextAnswer): void {
    for (const { grant } of reporting) {
      const found = answer.reports.find(({ attempt }) => attempt === grant.attempt);
      if (found === undefined || found.status === 'retry_later') {
        // It counts as on its way until then, so that the loop does not send it again at once.
        void pause(RETRY_LATER_MS, this.#stopping.signal).then(() => {
          this.#sending.delete(grant.attempt);
          this.#reportSoon();
        });
        continue;
      }
      const accepted = found.status === 'accepted';
      this.#options.log(accepted ? 'info' : 'warn', `report ${found.status}: ${found.message}`, aboutGrant(grant));
      this.#active.delete(grant.attempt);
      this.#sending.delete(grant.attempt);
    }
  }

  #begin(grant: Grant): void {
    if (this.#active.has(grant.attempt)) return;
    const attempt = new RunningAttempt(grant, this.#context);
    this.#active.set(grant.attempt, attempt);
    if (this.#stopping.signal.aborted) attempt.stop('interrupted', 'the runner is stopping; the stage goes elsewhere');
    void attempt.ended.then(() => {
      if (attempt.report === undefined) this.#active.delete(grant.attempt);
      this.#reportSoon();
    });
  }

  /** Reports now: through the claiming loop when it is idle, beside it when a poll is held open. */
  #reportSoon(): void {
    this.#wake.abort();
    if (this.#stopping.signal.aborted || !this.#polling) return;
    const reports = this.#unsent();
    if (reports.length === 0 && !this.#tells()) return;
    void this.#next(reports, 0, 0).then(async (ok) => {
      if (ok) return;
      await pause(RETRY_LATER_MS, this.#stopping.signal);
      this.#reportSoon();
    });
  }

  #cancel(id: AttemptId, message: string): void {
    const attempt = this.#active.get(id);
    if (attempt !== undefined && attempt.report === undefined) attempt.stop('cancelled', message);
  }

  /** A heartbeat is due, or, while there is no lease to keep and a poll tells that the runner is there, every few of them. */
  #turn(): void {
    this.#turns += 1;
    if (this.#active.size > 0 || !this.#polling || this.#turns % IDLE_TURNS === 0) void this.#beat();
  }

  async #beat(): Promise<void> {
    this.#beatAgain = this.#beating;
    if (this.#beating) return;
    this.#beating = true;
    const { credential } = this.identity;
    try {
      const attempts = [...this.#active.values()].map(({ grant, progress, urls }) => {
        const wanted = urls.wanted();
        return { attempt: grant.attempt, epoch: grant.epoch, ...progress.beat(), ...(wanted === undefined ? {} : { urls: wanted }) };
      });
      const answer = await this.#controlPlane.heartbeat({ bootId: this.#bootId, attempts });
      for (const { attempt, order, message, urls } of answer.attempts) {
        if (order === 'cancel') this.#cancel(attempt, message);
        else this.#active.get(attempt)?.urls.take(urls);
      }
      if (answer.credential !== undefined) await this.#renew(credential, answer.credential);
    } catch (error) {
      await this.#failedCall(error, credential);
    } finally {
      this.#beating = false;
      if (this.#beatAgain) void this.#beat();
    }
  }

  /** The next credential is on the disk before it is used: with its first use the present one is dead. */
  async #renew(present: string, next: string): Promise<void> {
    // It was registered anew meanwhile, or this answer was given before.
    if (present !== this.identity.credential || next === present) return;
    const identity = { ...this.identity, credential: next };
    try {
      await keepIdentity(this.#options.dataDir, identity);
    } catch (error) {
      this.#options.log('warn', `the next credential cannot be kept, the present one goes on: ${String(error)}; it is tried again`);
      return;
    }
    if (present !== this.identity.credential) return;
    this.identity = identity;
    this.#controlPlane.useCredential(next);
    this.#options.log('info', 'the credential was replaced');
  }

  /** Logs it; a refused credential is replaced once where there is a join token, else it ends the agent. */
  async #failedCall(error: unknown, credential: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const text = error instanceof Error ? error.message : String(error);
    if (!(error instanceof ApiError) || error.problem.status !== 401) {
      this.#options.log('warn', `the control plane did not answer: ${text}; work goes on, this is tried again`);
      return;
    }
    // Another call of the same moment may have got the new credential already.
    if (credential !== this.identity.credential) return;
    try {
      if (this.#options.joinToken === undefined) throw error;
      this.identity = await this.#register();
      if (this.identity.credential === credential) throw error;
      this.#controlPlane.useCredential(this.identity.credential);
    } catch (refusal) {
      if (this.#stopping.signal.aborted) return;
      const why = refusal instanceof Error ? refusal.message : String(refusal);
      this.#refused ??= new CannotRun(
        'refused',
        `the control plane does not accept this runner's credential (${why}); delete runner.json in ${this.#options.dataDir} and start it with a new join token`,
      );
      this.stop();
    }
  }

  /** Uses the join token; a second call gets the answer of the first. */
  async #register(): Promise<Identity> {
    this.#registration ??= measureResources(this.#options.dataDir, this.#hardware).then((resources) =>
      register(this.#options, this.#controlPlane, this.#bootId, { ...resources, isolation: this.#isolation }, this.#stopping.signal),
    );
    return this.#registration;
  }

  /** The end: every stage is stopped, and told of as soon as it has ended, as far as the control plane answers in time. */
  async #windUp(): Promise<void> {
    const attempts = [...this.#active.values()];
    const over = new AbortController();
    const told = Promise.all(attempts.map((attempt) => this.#tellLast(attempt, over.signal)));
    // A spot notice: what is made already and only has to be sent is worth some seconds; the rest goes back at once.
    const sent = Promise.all(attempts.filter(({ sending }) => sending).map(({ ended }) => ended));
    for (const attempt of attempts) if (!attempt.sending) this.#interrupt(attempt);
    const all = new AbortController();
    void sent.then(() => all.abort());
    await pause(this.#options.lastUploadsMs ?? LAST_UPLOADS_MS, all.signal);
    for (const attempt of attempts) this.#interrupt(attempt);
    await Promise.all(attempts.map(({ ended }) => ended));
    const limit = setTimeout(() => over.abort(), LAST_REPORTS_MS);
    await told;
    clearTimeout(limit);
  }

  /** Tells of an attempt that has ended, and of any other, until that is answered: the machine may be gone before all have ended. */
  async #tellLast({ grant, ended }: RunningAttempt, signal: AbortSignal): Promise<void> {
    await ended;
    while (this.#refused === undefined && !signal.aborted && this.#active.has(grant.attempt)) {
      const unsent = this.#unsent();
      if (unsent.length > 0) await this.#next(unsent, 0, 0, signal);
      if (this.#active.has(grant.attempt)) await pause(250, signal);
    }
  }

  #interrupt(attempt: RunningAttempt): void {
    if (attempt.report === undefined) attempt.stop('interrupted', 'the runner was stopped; the stage goes elsewhere');
  }

  async #sleep(ms: number): Promise<void> {
    await pause(ms, this.#wake.signal);
    if (!this.#stopping.signal.aborted) this.#wake = new AbortController();
  }
}
