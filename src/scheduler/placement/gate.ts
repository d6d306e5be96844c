/**
 * Placement during one request of a runner: whether it takes a stage that fits it, or leaves it to a better one. What is
 * read of other runners is read once a stage and request, and only for stages that cost enough for a choice to matter.
 */
import type { RunnerId } from '../../schema/ids.ts';
import type { Expected, Job } from '../../schema/job.ts';
import { HEAVY, type Stage } from '../../schema/stage.ts';
import { DEFAULTS, type Context } from '../context.ts';
import { epochsToMs } from '../head.ts';
import type { Passed } from '../limits.ts';
import { noRoom } from '../miner-storage.ts';
import type { StageWork } from '../plan.ts';
import type { RunnerRow, RunningStage } from '../ports.ts';
import { untested } from '../self-test/standing.ts';
import { type Asked, askedOf } from './asked.ts';
import { type Fault, failedOn, misfit } from './feasible.ts';
import { lackedBytes } from './holdings.ts';
import { cramped, heavyMs, queueMs, roomOf } from './load.ts';
import { type Patience, type Priced, leastSavedUsd, leaveTo } from './place.ts';
import { type Cost, costOf } from './score.ts';

/** Other runners compared with the one that asks, besides those that have the stage's inputs: of thousands some will do. */
const COMPARED = 50;
/** So many of one stage a runner compares and leaves to others in one request; of those behind only what it has inputs of is looked at. */
const MOST_LEFT = 16;
/** So many jobs are passed over unseen; behind them it looks for no more, lest thousands of runners that look at much hold up heartbeats. */
const MOST_UNSEEN = 100;

export const patienceOf = ({ settings }: Context): Patience => ({
  waitingUsdPerHour: settings.waitingUsdPerHour ?? DEFAULTS.waitingUsdPerHour,
  patienceMs: settings.patienceMs ?? DEFAULTS.patienceMs,
});

/** Since when a runner must have been heard of to count as there: one without a stage may be silent for a poll. */
export const aliveSinceMs = ({ nowMs, settings }: Context): number => nowMs - settings.pollMs - settings.leaseMs;

/** Whether the runner counts as there. */
export const alive = (ctx: Context, { lastSeenMs, silentSinceMs }: RunnerRow): boolean =>
  silentSinceMs === undefined && lastSeenMs >= aliveSinceMs(ctx);

/** How long the job has waited for a runner. */
export const waitedMs = ({ nowMs }: Context, { waiting }: Job): number => (waiting.for === 'runner' ? nowMs - waiting.sinceMs : 0);

/** Runners and what they have in hand, read once. */
export class Loads {
  readonly #ctx: Context;
  readonly #running = new Map<string, readonly RunningStage[]>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  /** Reads what these runners have in hand, as far as it is not known. */
  read(runners: readonly RunnerId[]): void {
    const unknown = runners.filter((id) => !this.#running.has(id));
    if (unknown.length === 0) return;
    const found = Map.groupBy(this.#ctx.tx.runningOn(unknown), ({ runner }) => runner);
    for (const id of unknown) this.#running.set(id, found.get(id) ?? []);
  }

  of(runner: RunnerId): readonly RunningStage[] {
    this.read([runner]);
    return this.#running.get(runner) ?? [];
  }

  /** It got one more in this request. */
  add(stage: RunningStage): void {
    this.#running.set(stage.runner, [...this.of(stage.runner), stage]);
  }
}

export type Placed = { readonly take: Expected } | { readonly left: Passed };

export class PlacementGate {
  /** How many were left to others so far, by stage. */
  readonly #left = new Map<Stage, number>();
  #unseen = 0;
  /** By what they have in common: since when the first of them has waited, and to whom it was left. */
  readonly #leftAlike = new Map<string, { readonly sinceMs: number; readonly to: string }>();
  readonly #ctx: Context;
  readonly #runner: RunnerRow;
  readonly #loads: Loads;
  readonly #others = new Map<Stage, readonly RunnerRow[]>();

  constructor(ctx: Context, runner: RunnerRow) {
    this.#ctx = ctx;
    this.#runner = runner;
    this.#loads = new Loads(ctx);
  }

  /** Behind what was passed over it looks for no more. */
  get passedEnough(): boolean {
    return this.#unseen >= MOST_UNSEEN;
  }

  /** Passes over a job whose stage is left to others, as those before it show: counted, and nothing more is read of it. */
  passesUnseen(job: Job): boolean {
    const passed = this.#leftEnoughOf(job) || this.#leavesAlike(job);
    if (passed) this.#unseen += 1;
    return passed;
  }

  /** Whether it left many of this stage already, and has no file of this job. */
  #leftEnoughOf({ waiting, data }: Job): boolean {
    if (waiting.for !== 'runner' || (this.#left.get(waiting.stage) ?? 0) < MOST_LEFT) return false;
    return !Object.values(data.artifacts).some(({ madeBy }) => madeBy === this.#runner.id);
  }

  /** Whether the job's stage is one more like another that was left, and has not waited longer: who is better for that one is for this. */
  #leavesAlike(job: Job): boolean {
    const alike = alikeOf(job);
    const known = alike === undefined ? undefined : this.#leftAlike.get(alike);
    if (known === undefined || job.waiting.for !== 'runner' || job.waiting.sinceMs < known.sinceMs) return false;
    return !failedOn(this.#ctx.tx.attemptsOfJob(job.id), job, job.waiting.stage).has(known.to);
  }

  /** Whether the runner takes the stage. `failed`: runners that failed it before; `held`: places held on this one for others' PC1. */
  judge(job: Job, stage: Stage, work: StageWork, failed: ReadonlyMap<string, Fault>, held: number): Placed {
    const ctx = this.#ctx;
    const asked = askedOf(job, stage, work, epochsToMs(ctx, 1));
    const room = roomOf(asked.needs, lackedBytes(this.#runner, asked.inputs));
    const tight = this.#tight(room, held);
    if (tight !== undefined) return { left: { why: tight } };
    // It has a slot; what takes the whole machine waits there all the same.
    const waitMs = HEAVY.has(stage) ? heavyMs(stage, this.#loads.of(this.#runner.id), ctx.nowMs) : 0;
    const cost = costOf(asked, this.#runner, waitMs, patienceOf(ctx).waitingUsdPerHour);
    const better = this.#better(job, asked, work, cost, failed);
    if (better !== undefined) {
      this.#left.set(stage, (this.#left.get(stage) ?? 0) + 1);
      const alike = alikeOf(job);
      if (alike !== undefined && job.waiting.for === 'runner' && !this.#leftAlike.has(alike))
        this.#leftAlike.set(alike, { sinceMs: job.waiting.sinceMs, to: better.to });
      return { left: better };
    }
    return { take: { fetchMs: Math.round(cost.transferS * 1000), stageMs: Math.round(cost.stageS * 1000), ...room } };
  }

  /** Milliseconds until another runner begins the stage; undefined: it never has room for it. */
  queueMs(other: RunnerRow, job: Job, stage: Stage, work: StageWork): number | undefined {
    const priced = pricedOf(this.#ctx, askedOf(job, stage, work, epochsToMs(this.#ctx, 1)), other, this.#loads);
    return priced === undefined ? undefined : priced.cost.queueS * 1000;
  }

  /** The runner was granted a stage that it takes. */
  granted(stage: Stage, expected: Expected): void {
    this.#loads.add({ runner: this.#runner.id, stage, grantedMs: this.#ctx.nowMs, secondsLeft: null, fraction: null, expected });
  }

  /** Why it has no room beside what runs and what places are held for. Of what is small nothing is read. */
  #tight(room: ReturnType<typeof roomOf>, held: number): string | undefined {
    const runner = this.#runner;
    if (room.ramBytes === 0 && room.diskBytes * 100 <= runner.resources.diskFreeBytes) return undefined;
    const place: RunningStage = {
      runner: runner.id,
      stage: 'PC1',
      grantedMs: 0,
      secondsLeft: null,
      fraction: null,
      expected: { fetchMs: 0, stageMs: 0, ...room },
    };
    return cramped(runner, room, [...this.#loads.of(runner.id), ...Array.from({ length: held }, () => place)]);
  }

  #better(
    job: Job,
    asked: Asked,
    work: StageWork,
    cost: Cost,
    failed: ReadonlyMap<string, Fault>,
  ): (Passed & { readonly to: string }) | undefined {
    const ctx = this.#ctx;
    const patience = patienceOf(ctx);
    // Its place was compared when it was reserved.
    const promised = asked.stage === 'PC1' && job.reserved?.runner === this.#runner.id;
    if (promised || job.waiting.for !== 'runner' || cost.totalUsd <= leastSavedUsd(patience)) return undefined;
    // The patience is over: no other runner changes anything.
    if (ctx.nowMs - job.waiting.sinceMs >= patience.patienceMs) return undefined;
    const others = this.#priced(job, asked, work, failed);
    const leave = leaveTo({ runner: this.#runner.id, cost }, others, job.waiting.sinceMs, ctx.nowMs, patience);
    return leave === undefined
      ? undefined
      : { to: leave.to.runner, why: `${leave.to.runner} is expected to save ${leave.savesUsd.toFixed(2)} USD`, freeMs: leave.untilMs };
  }

  #priced(job: Job, asked: Asked, work: StageWork, failed: ReadonlyMap<string, Fault>): Priced[] {
    const ctx = this.#ctx;
    const makers = [...new Set(asked.inputs.flatMap(({ madeBy }) => madeBy ?? []))].flatMap((id) => ctx.tx.runner(id as RunnerId) ?? []);
    const known = new Map([...makers, ...this.#ready(asked.stage)].map((runner) => [runner.id, runner]));
    known.delete(this.#runner.id);
    const fit = [...known.values()].filter(
      (other) =>
        !failed.has(other.id) &&
        alive(ctx, other) &&
        misfit(other, asked.stage, work, job, ctx.nowMs) === undefined &&
        untested(ctx.settings, other, asked.stage) === undefined &&
        noRoom(ctx, other, job, work) === undefined,
    );
    this.#loads.read(fit.map(({ id }) => id));
    return fit.flatMap((other) => pricedOf(ctx, asked, other, this.#loads) ?? []);
  }

  #ready(stage: Stage): readonly RunnerRow[] {
    const known = this.#others.get(stage) ?? this.#ctx.tx.readyRunners(stage, aliveSinceMs(this.#ctx), COMPARED, 0);
    this.#others.set(stage, known);
    return known;
  }
}

/**
 * What stages have in common that cost the same on each runner: they have no inputs that a runner made, and fit the same runners.
 * Undefined: it is like no other.
 */
function alikeOf({ plan, miner, state, reserved, data }: Job): string | undefined {
  if (reserved !== null || Object.keys(data.artifacts).length > 0 || data.stored !== undefined || data.record !== undefined)
    return undefined;
  return JSON.stringify([plan, miner, state, data.sealProof, data.pieces.map(({ sizeBytes }) => sizeBytes)]);
}

/** What the stage would cost on a runner that it fits; undefined: it never has room for it. */
export function pricedOf(ctx: Context, asked: Asked, runner: RunnerRow, loads: Loads): Priced | undefined {
  const room = roomOf(asked.needs, lackedBytes(runner, asked.inputs));
  const waitMs = queueMs(runner, asked.stage, room, loads.of(runner.id), ctx.nowMs);
  return waitMs === undefined ? undefined : { runner: runner.id, cost: costOf(asked, runner, waitMs, patienceOf(ctx).waitingUsdPerHour) };
}
