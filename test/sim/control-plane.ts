/**
 * One life of the control plane: the real store, door, engine, effects performer and `next`, around faked
 * ports. A crash ends it at any call; the next life opens the same database file.
 */
import { asRunner } from '../../src/api/auth.ts';
import { type Door, openDoor } from '../../src/api/door.ts';
import { answerHeartbeat } from '../../src/api/heartbeat.ts';
import { answerNext } from '../../src/api/next.ts';
import { hashSecret } from '../../src/api/secrets.ts';
import { drained } from '../../src/api/upgrades.ts';
import type { ApiParts } from '../../src/api/parts.ts';
import type { Declare } from '../../src/effects/declare.ts';
import { performEffects } from '../../src/effects/performer.ts';
import { followHead } from '../../src/main/chain-head.ts';
import type { Context, Settings } from '../../src/scheduler/context.ts';
import { deliveryTried, deliveryTurn, dropOldDeliveries } from '../../src/scheduler/deliveries.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import type { Chain, Ids, ObjectStore, Store } from '../../src/scheduler/ports.ts';
import { restarted, tick } from '../../src/scheduler/tick.ts';
import type { Collected } from '../../src/schema/garbage.ts';
import type { HeartbeatAnswer, HeartbeatRequest, NextAnswer, NextRequest } from '../../src/schema/runner.ts';
import { deliver } from '../../src/webhooks/deliverer.ts';
import type { VirtualClock } from './clock.ts';
import { collecting, lastCollector } from './collecting.ts';
import type { FakeChain } from './fake-chain.ts';
import type { FakeObjects } from './fake-objects.ts';
import type { FakePoster } from './fake-poster.ts';
import type { FakeReceiver } from './fake-receiver.ts';
import type { KeptStore } from './kept-store.ts';
import { type Faults, type Life, faulty, never } from './faults.ts';
import type { Rng } from './prng.ts';
import type { Port } from './script.ts';

/** As runTicks in src/main: what is due is late by at most this. */
const MOST_TICK_LATE_MS = 500;
const LEAST_TICK_MS = 200;
const START_AGAIN_MS = 1_000;
/** In earnest the head is asked for each epoch; in between the epoch follows from the clock. */
const HEAD_EVERY_MS = 20_000;

export type PlaneParts = {
  readonly clock: VirtualClock;
  readonly rng: Rng;
  readonly faults: Faults;
  readonly chain: FakeChain;
  readonly objects: FakeObjects;
  readonly ids: Ids;
  readonly store: KeptStore;
  /** Where events are posted to, if anywhere. */
  readonly receiver: FakeReceiver | undefined;
  /** Whoever does Window PoSt and is told of stored files, if anybody. */
  readonly poster: FakePoster | undefined;
  readonly settings: () => Settings;
  /** Version of the files that runners are to run; undefined: whatever they have. */
  readonly offered: () => string | undefined;
  /** The life ended by itself: a fault killed it, or its database failed. */
  readonly onDeath: () => void;
};

/** Errors by which a disk fails: as SQLite's driver tells them. */
const sqliteError = (code: string): Error => Object.assign(new Error(`simulated ${code}`), { code });

export class ControlPlane implements Life {
  dead = false;
  /** It has been told the chain's head. */
  knowsEpoch = false;
  /** Rejects when this life ends: connections break. */
  readonly died: Promise<never>;
  readonly settings: Settings;
  readonly #parts: PlaneParts;
  readonly #store: Pick<Store, 'commit'>;
  readonly #door: Door;
  readonly #api: ApiParts;
  readonly #ending = new AbortController();
  #breakConnections: (error: Error) => void = () => undefined;
  #tickAtMs = Number.POSITIVE_INFINITY;
  #ready = false;

  constructor(parts: PlaneParts) {
    this.#parts = parts;
    this.settings = parts.settings();
    this.died = new Promise<never>((_, reject) => {
      this.#breakConnections = reject;
    });
    this.died.catch(() => undefined);
    this.#store = parts.store.open(() => this.#die(true));
    const { clock, ids } = parts;
    this.#door = openDoor({ store: { commit: this.#commit, close: () => undefined }, clock, ids, settings: this.settings });
    const call = faulty({ clock, rng: parts.rng, faults: parts.faults, life: this });
    const chain = this.#wrapChain(call);
    const objects = this.#wrapObjects(call);
    const ending = this.#ending.signal;
    const log = { warn: () => undefined, error: () => undefined, info: () => undefined } as unknown as ApiParts['log'];
    this.#api = {
      door: { ...this.#door, oneOf: this.#oneOf },
      objects,
      settings: this.settings,
      log,
      requestId: () => 'simulated',
      sleep: (ms, signal) => clock.nap(ms, signal),
      ending,
      checks: async () => [],
    } as ApiParts;
    void this.#start(() => {
      void performEffects({
        door: this.#door,
        chain,
        objects,
        engine: { effectSigned, effectDone },
        ...(parts.poster === undefined ? {} : { declare: this.#wrapDeclare(call, parts.poster) }),
        onError: () => undefined,
        ending,
      } as Parameters<typeof performEffects<Context>>[0]);
      if (parts.receiver !== undefined) {
        void deliver<Context>({
          door: this.#door,
          engine: { deliveryTurn, deliveryTried, dropOldDeliveries },
          sender: parts.receiver.sender(call),
          onError: () => undefined,
          sleep: (ms, signal) => clock.nap(ms, signal),
          ending,
        });
      }
      const head = (): ReturnType<Chain['head']> => chain.head().finally(() => (this.knowsEpoch = true));
      void followHead(this.#door, { network: chain.network, head }, { debug: () => undefined }, ending, HEAD_EVERY_MS);
      void collecting({ door: this.#door, objects: parts.objects, clock }, ending);
      this.#planTick(0);
    });
  }

  /** It has taken its database over, and answers. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Runs an operator's or a runner's request in a transaction. */
  run<T>(fn: (ctx: Context) => T): Promise<T> {
    return this.#answered(() => this.#door.run(fn as Parameters<Door['run']>[0]) as Promise<T>);
  }

  /** As the routes of runners answer. */
  next(credential: string, request: NextRequest, gone: AbortSignal): Promise<NextAnswer> {
    const hash = hashSecret(credential);
    const offered = this.#parts.offered();
    const upgrade = offered !== undefined && offered !== request.software?.version;
    const asked = upgrade ? drained(request) : request;
    return this.#answered(async () => {
      const answer = await asRunner(this.#door, hash, request.bootId, () => answerNext(this.#api, hash, asked, gone));
      return upgrade ? { ...answer, upgrade: { agent: hash, prover: hash } } : answer;
    });
  }

  heartbeat(credential: string, request: HeartbeatRequest): Promise<HeartbeatAnswer> {
    return this.#answered(() => answerHeartbeat(this.#api, this.#door, { secret: credential, hash: hashSecret(credential) }, request));
  }

  /** What is left is removed, whoever made it; answers what that is. */
  collect(remove: boolean): Promise<Collected> {
    const { objects, clock } = this.#parts;
    return this.#answered(() => lastCollector({ door: this.#door, objects, clock })({ remove, unknown: true }));
  }

  /** The process is killed: nothing in memory is left, what was committed is. */
  crash(): void {
    this.#die(true);
  }

  /** Killed at once, or ended in order: long polls are answered first. Effects under way are given up. */
  async stop(kill: boolean): Promise<void> {
    if (!kill) {
      this.#ending.abort('ending');
      await this.#parts.clock.rest();
    }
    this.#die(false);
    await this.#parts.clock.rest();
  }

  /** Killed, and nobody starts it again. */
  kill(): void {
    this.#die(false);
  }

  /** Something was written: what it makes due comes as late as with the real clockwork. */
  tickSoon(): void {
    this.#planTick(MOST_TICK_LATE_MS);
  }

  #die(byFault: boolean): void {
    if (this.dead) return;
    this.dead = true;
    this.#breakConnections(new Error('the connection broke'));
    // Nobody hears of it any more; but signals that are waited for are kept in memory until they fire.
    this.#ending.abort('ending');
    // What is queued is refused by `dead`.
    if (byFault) this.#parts.onDeath();
  }

  async #answered<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#ready) throw new Error('the control plane is not up yet');
    return Promise.race([work(), this.died]);
  }

  async #start(begin: () => void): Promise<void> {
    for (;;) {
      try {
        await this.#door.run(restarted);
        break;
      } catch {
        await this.#parts.clock.sleep(START_AGAIN_MS);
      }
    }
    this.#ready = true;
    begin();
  }

  #planTick(inMs: number): void {
    const atMs = this.#parts.clock.nowMs + Math.max(inMs, LEAST_TICK_MS);
    if (atMs >= this.#tickAtMs || !this.#ready) return;
    this.#tickAtMs = atMs;
    this.#parts.clock.at(atMs - this.#parts.clock.nowMs, () => void this.#tick(atMs));
  }

  async #tick(atMs: number): Promise<void> {
    if (this.dead || atMs !== this.#tickAtMs) return;
    this.#tickAtMs = Number.POSITIVE_INFINITY;
    let waitMs = MOST_TICK_LATE_MS;
    try {
      waitMs = await this.#door.run((ctx) => tick(ctx).wakeAtMs - ctx.nowMs);
    } catch {
      // A full disk: tried again.
    }
    // A commit meanwhile may have planned an earlier one.
    this.#planTick(waitMs);
  }

  readonly #commit: Store['commit'] = ((fn: (tx: Parameters<Parameters<Store['commit']>[0]>[0]) => unknown) => {
    if (this.dead) return never();
    const { clock, faults } = this.#parts;
    const fault = faults.take('store.commit');
    clock.busy += 1;
    const work = this.#store.commit((tx) => {
      // The whole group goes when the disk is full or the process dies before COMMIT.
      if (this.dead) throw sqliteError('SQLITE_FULL');
      const value = fn(tx) as never;
      if (fault?.how === 'full' || fault?.how === 'crash_before') throw sqliteError('SQLITE_FULL');
      if (fault?.how === 'io_error') throw sqliteError('SQLITE_IOERR_FSYNC');
      return value;
    });
    return this.#committed(work, fault?.how === 'crash_before' || fault?.how === 'crash_after');
  }) as Store['commit'];

  async #committed(work: Promise<unknown>, dies: boolean): Promise<unknown> {
    try {
      return await work;
    } finally {
      this.#parts.clock.busy -= 1;
      if (dies) this.crash();
      // Nobody is left to hear the answer.
      if (this.dead) await never();
    }
  }

  /** The word that wakes a long poll may never come, or come without a reason. */
  readonly #oneOf: Door['oneOf'] = async (signals, abort) => {
    const fault = this.#parts.faults.take('wake.poll');
    if (fault === undefined) return this.#door.oneOf(signals, abort);
    if (fault.how !== 'lost') return undefined;
    await new Promise<void>((resolve) => {
      if (abort.aborted) resolve();
      else abort.addEventListener('abort', () => resolve(), { once: true });
    });
    return undefined;
  };

  #wrapChain(call: ReturnType<typeof faulty>): Chain {
    let lagNow = 0;
    const inner = this.#parts.chain.port(() => lagNow) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return wrapped(
      Object.keys(inner),
      (name) =>
        (...args) =>
          call(`chain.${name}` as Port, (lag) => {
            lagNow = lag;
            // The fake reads its state in the same turn, so the lag is this call's only.
            const answer = (inner[name] as (...all: unknown[]) => Promise<unknown>)(...args);
            lagNow = 0;
            return answer;
          }),
    ) as unknown as Chain;
  }

  #wrapObjects(call: ReturnType<typeof faulty>): ObjectStore {
    const inner = this.#parts.objects.port() as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    return wrapped(
      Object.keys(inner),
      (name) =>
        (...args) =>
          call(`objects.${name}` as Port, () => (inner[name] as (...all: unknown[]) => Promise<unknown>)(...args)),
    ) as unknown as ObjectStore;
  }

  #wrapDeclare(call: ReturnType<typeof faulty>, poster: FakePoster): Declare {
    return (declaration) => call('declare.files', () => poster.declare(declaration));
  }
}

function wrapped(names: readonly string[], make: (name: string) => (...args: unknown[]) => Promise<unknown>): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, make(name)]));
}
