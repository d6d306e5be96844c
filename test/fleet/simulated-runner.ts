/**
 * A runner that works by waiting. To the control plane it is like the agent: it registers, polls while it has a free
 * slot, reports beside the poll, beats on a timer of its own at the pace it was told, and comes back by itself.
 */
import { randomUUID } from 'node:crypto';
import type { ClientRequest } from 'node:http';
import { Backoff, pause } from '../../src/runners/lanes.ts';
import type { Grant, HeartbeatAnswer, NextAnswer, RegisterAnswer, Report } from '../../src/schema/runner.ts';
import type { Line } from './line.ts';

const SLOTS = 2;
/** As the agent: without a lease to keep, one heartbeat in so many. */
const IDLE_TURNS = 4;
const RESOURCES = { cores: 2, ramBytes: 2 ** 33, diskFreeBytes: 2 ** 36, gpus: [] };

/** A stage that a runner was given; `report` once it has done it. */
export type Held = { readonly grant: Grant; report: Report | undefined };

/** Who is told of what happens to a runner. */
export type Watcher = {
  answered(runner: SimulatedRunner, kind: 'heartbeat' | 'report' | 'poll', tookMs: number): void;
  granted(runner: SimulatedRunner, grant: Grant): void;
  /** It holds the stage no more: what its report was answered, or `cancel`. */
  settled(runner: SimulatedRunner, held: Held, status: string): void;
  refused(runner: SimulatedRunner, status: number): void;
};

export type Work = {
  /** How long it takes. */
  readonly forMs: () => number;
  readonly result: (grant: Grant) => Record<string, unknown>;
};

/** From its start to its kill. */
type Life = {
  readonly bootId: string;
  readonly over: AbortController;
  readonly open: Set<ClientRequest>;
  wake: AbortController;
  beating: boolean;
};

export class SimulatedRunner {
  readonly name: string;
  readonly held = new Map<string, Held>();
  readonly #line: Line;
  readonly #watcher: Watcher;
  readonly #work: Work;
  #identity: RegisterAnswer | undefined;
  #life: Life | undefined;

  constructor(name: string, line: Line, watcher: Watcher, work: Work) {
    this.name = name;
    this.#line = line;
    this.#watcher = watcher;
    this.#work = work;
  }

  get alive(): boolean {
    return this.#life !== undefined;
  }

  async register(token: string): Promise<void> {
    const about = { name: this.name, bootId: randomUUID(), agentVersion: 'simulated', stages: ['AddPiece'], storage: [] };
    const asked = { token, ...about, resources: RESOURCES };
    const { status, body } = await this.#line.post('/v1/runners/register', undefined, asked, new Set());
    if (status !== 200) throw new Error(`${this.name} was not registered: ${JSON.stringify(body)}`);
    this.#identity = body as RegisterAnswer;
  }

  /** Begins to work, or begins anew as a process that was started again. */
  start(): void {
    const life: Life = { bootId: randomUUID(), over: new AbortController(), open: new Set(), wake: new AbortController(), beating: false };
    this.#life = life;
    let turns = 0;
    const beats = setInterval(() => {
      turns += 1;
      if (this.held.size > 0 || turns % IDLE_TURNS === 0) void this.#beat(life);
    }, this.#known.heartbeatMs);
    life.over.signal.addEventListener('abort', () => clearInterval(beats));
    void this.#poll(life);
  }

  /** As when the machine's power goes: it never says a word of it. */
  kill(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.over.abort();
    life?.wake.abort();
    for (const asked of life?.open ?? []) asked.destroy();
    this.held.clear();
  }

  /** A heartbeat out of turn; answers the status. */
  async beatNow(): Promise<number> {
    const life = this.#life;
    if (life === undefined) throw new Error(`${this.name} is dead`);
    return (await this.#line.post('/v1/runners/self/heartbeat', this.#known.credential, this.#heartbeat(life), life.open)).status;
  }

  get #known(): RegisterAnswer {
    if (this.#identity === undefined) throw new Error(`${this.name} has not registered`);
    return this.#identity;
  }

  async #poll(life: Life): Promise<void> {
    const backoff = new Backoff(250, 5_000);
    while (!life.over.signal.aborted) {
      const freeSlots = SLOTS - this.held.size;
      if (freeSlots <= 0) {
        await pause(60_000, life.wake.signal);
        life.wake = new AbortController();
        continue;
      }
      const answer = await this.#next(life, 'poll', { freeSlots, reports: [], waitMs: this.#known.pollMs });
      if (answer === undefined) await pause(backoff.nextMs(), life.over.signal);
      else backoff.reset();
    }
  }

  async #next(life: Life, kind: 'poll' | 'report', more: { freeSlots: number; reports: Report[]; waitMs: number }) {
    const running = [...this.held.values()].map(({ grant: { attempt, epoch } }) => ({ attempt, epoch }));
    const answer = await this.#ask<NextAnswer>(life, kind, '/v1/runners/self/next', {
      bootId: life.bootId,
      running,
      resources: RESOURCES,
      ...more,
    });
    for (const attempt of answer?.cancel ?? []) this.#cancelled(attempt);
    for (const grant of answer?.grants ?? []) this.#begin(life, grant);
    return answer;
  }

  #begin(life: Life, grant: Grant): void {
    const held: Held = { grant, report: undefined };
    this.held.set(grant.attempt, held);
    this.#watcher.granted(this, grant);
    void pause(this.#work.forMs(), life.over.signal).then(() => this.#report(life, held));
  }

  async #report(life: Life, held: Held): Promise<void> {
    const { attempt, epoch } = held.grant;
    if (!this.held.has(attempt)) return;
    held.report = { outcome: 'done', attempt, epoch, outputs: [], result: this.#work.result(held.grant) };
    const backoff = new Backoff(250, 5_000);
    while (!life.over.signal.aborted) {
      const answer = await this.#next(life, 'report', { freeSlots: 0, reports: [held.report], waitMs: 0 });
      const status = answer?.reports[0]?.status ?? 'retry_later';
      if (status !== 'retry_later') {
        this.held.delete(attempt);
        this.#watcher.settled(this, held, status);
        life.wake.abort();
        return;
      }
      await pause(backoff.nextMs(), life.over.signal);
    }
  }

  #heartbeat(life: Life): object {
    const attempts = [...this.held.values()].map(({ grant: { attempt, epoch } }) => ({ attempt, epoch, fraction: 0.5, note: 'simulated' }));
    return { bootId: life.bootId, attempts };
  }

  async #beat(life: Life): Promise<void> {
    if (life.beating) return;
    life.beating = true;
    const answer = await this.#ask<HeartbeatAnswer>(life, 'heartbeat', '/v1/runners/self/heartbeat', this.#heartbeat(life));
    life.beating = false;
    for (const { attempt, order } of answer?.attempts ?? []) if (order === 'cancel') this.#cancelled(attempt);
  }

  /** One whose report is on its way may be over already. */
  #cancelled(attempt: string): void {
    const held = this.held.get(attempt);
    if (held === undefined || held.report !== undefined) return;
    this.held.delete(attempt);
    this.#watcher.settled(this, held, 'cancel');
    this.#life?.wake.abort();
  }

  async #ask<T>(life: Life, kind: 'heartbeat' | 'report' | 'poll', path: string, body: object): Promise<T | undefined> {
    const beganMs = performance.now();
    try {
      const answer = await this.#line.post(path, this.#known.credential, body, life.open);
      if (life.over.signal.aborted) return undefined;
      if (answer.status !== 200) {
        this.#watcher.refused(this, answer.status);
        return undefined;
      }
      this.#watcher.answered(this, kind, performance.now() - beganMs);
      return answer.body as T;
    } catch {
      return undefined;
    }
  }
}
