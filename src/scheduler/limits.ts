/**
 * How many of a stage run at a time, and how far apart they start: damocles' `concurrent` and `staggered`.
 * Defaults come from the configuration; what is set while running is kept in the database and counts more.
 */
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { Stage } from '../schema/stage.ts';
import type { Context, LimitSet, Limits } from './context.ts';

/** The worker of a thread, by the thread's id (`worker/index`). */
const workerOf = (thread: string): string => thread.slice(0, thread.lastIndexOf('/'));

const KEPT = 'limits';
const WAKE = 'limits_wake_ms';
const NONE: Limits = { all: {}, workers: {} };

type ByStage = Readonly<Partial<Record<Stage, number | null>>>;
type SetPatch = { readonly concurrent?: ByStage | undefined; readonly staggeredMs?: ByStage | undefined };
/** Numbers set, null goes back to the configuration's; what is not named stays. */
export type LimitsPatch = { readonly all?: SetPatch | undefined; readonly workers?: Readonly<Record<string, SetPatch>> | undefined };

const KINDS = ['concurrent', 'staggeredMs'] as const;

function merged(base: LimitSet, over: SetPatch | undefined): LimitSet {
  const of = (kind: (typeof KINDS)[number]): Partial<Record<Stage, number>> => {
    const set = Object.entries({ ...base[kind], ...over?.[kind] }).filter(
      (entry): entry is [Stage, number] => typeof entry[1] === 'number',
    );
    return Object.fromEntries(set);
  };
  return { concurrent: of('concurrent'), staggeredMs: of('staggeredMs') };
}

const isEmpty = (set: LimitSet): boolean => KINDS.every((kind) => Object.keys(set[kind] ?? {}).length === 0);

function overrides(ctx: Context): LimitsPatch {
  const text = ctx.tx.meta(KEPT);
  return text === undefined ? {} : (JSON.parse(text) as LimitsPatch);
}

/** The limits as they count now: of all sealing_threads together, and of each worker's. */
export function limits(ctx: Context): Limits {
  const base = ctx.settings.limits ?? NONE;
  const over = overrides(ctx);
  const names = new Set([...Object.keys(base.workers), ...Object.keys(over.workers ?? {})]);
  const workers = [...names].map((name) => [name, merged(base.workers[name] ?? {}, over.workers?.[name])] as const);
  return { all: merged(base.all, over.all), workers: Object.fromEntries(workers.filter(([, set]) => !isEmpty(set))) };
}

/** Changes limits while running; they count from the next grant on, and who set them last is kept. Refused as a whole when a part is wrong. */
export function setLimits(ctx: Context, patch: LimitsPatch, actor: string): Limits {
  const known = new Set(ctx.tx.threads().map(({ worker }) => worker));
  for (const [name, set] of [['all', patch.all ?? {}] as const, ...Object.entries(patch.workers ?? {})]) checkSet(name, set);
  for (const name of Object.keys(patch.workers ?? {})) {
    if (!known.has(name))
      throw new SealpoolError('not_found', 'not_found', `there is no worker ${name}; there are ${[...known].join(', ') || 'none'}`);
  }
  const before = overrides(ctx);
  const names = new Set([...Object.keys(before.workers ?? {}), ...Object.keys(patch.workers ?? {})]);
  const kept: LimitsPatch = {
    all: merged(merged({}, before.all), patch.all),
    workers: Object.fromEntries([...names].map((name) => [name, merged(merged({}, before.workers?.[name]), patch.workers?.[name])])),
  };
  ctx.tx.setMeta(KEPT, JSON.stringify({ ...kept, setBy: actor, setMs: ctx.nowMs }));
  wakeForStages(ctx);
  return limits(ctx);
}

function checkSet(where: string, set: SetPatch): void {
  for (const kind of KINDS) {
    for (const [stage, value] of Object.entries(set[kind] ?? {})) {
      const refuse = (code: string, sentence: string): never => {
        throw new SealpoolError('bad_request', code, `${kind} of ${where}: ${sentence}`);
      };
      if (!Stage.safeParse(stage).success) refuse('unknown_stage', `there is no stage ${stage}; stages are ${Stage.options.join(', ')}`);
      if (value !== null && (!Number.isSafeInteger(value) || value < 0))
        refuse('bad_limit', `${stage} is ${value}; give a whole number from 0 on, or null for the configuration's`);
    }
  }
}

const startKey = (stage: Stage, worker: string | null): string => `started:${stage}${worker === null ? '' : `:${worker}`}`;

export type Passed = { readonly why: string; readonly freeMs?: number };

/** The limits at work during one request of a runner: counts are read once, and only where a limit is set. */
export class LimitGate {
  readonly #ctx: Context;
  readonly #limits: Limits | undefined;
  #running: { stage: Stage; worker: string | null; job: string | null; count: number }[] | undefined;

  constructor(ctx: Context) {
    this.#ctx = ctx;
    const set = ctx.settings.limits === undefined && ctx.tx.meta(KEPT) === undefined ? undefined : limits(ctx);
    this.#limits = set === undefined || (isEmpty(set.all) && Object.keys(set.workers).length === 0) ? undefined : set;
  }

  /** Why the stage of this job must not start now, and when it may where time alone decides; undefined: it may. */
  against(job: Job, stage: Stage): Passed | undefined {
    if (this.#limits === undefined) return undefined;
    const worker = job.thread === null ? null : workerOf(job.thread);
    for (const [set, of] of this.#sets(worker)) {
      const most = set.concurrent?.[stage];
      if (most !== undefined) {
        const now = this.#count(stage, of, job.id);
        if (now >= most)
          return { why: `${now} of at most ${most} ${stage} run now${of === null ? '' : ` for worker ${of}`} (limit concurrent)` };
      }
      const spacingMs = set.staggeredMs?.[stage];
      // A place was held, and the start written down, when the ticket was drawn.
      if (spacingMs === undefined || (stage === 'PC1' && job.reserved !== null)) continue;
      const freeMs = Number(this.#ctx.tx.meta(startKey(stage, of)) ?? Number.NEGATIVE_INFINITY) + spacingMs;
      if (freeMs > this.#ctx.nowMs) {
        const seconds = Math.ceil((freeMs - this.#ctx.nowMs) / 1000);
        return { why: `the next ${stage}${of === null ? '' : ` of worker ${of}`} starts in ${seconds} s (limit staggered)`, freeMs };
      }
    }
    return undefined;
  }

  /** A start, or a place held for one: it counts from now on. */
  started(job: Job, stage: Stage): void {
    if (this.#limits === undefined) return;
    const worker = job.thread === null ? null : workerOf(job.thread);
    // A place that was held for it becomes the running stage.
    this.#running = this.#running?.filter((row) => row.job !== job.id).concat({ stage, worker, job: job.id, count: 1 });
    if (stage === 'PC1' && job.reserved !== null) return;
    for (const [set, of] of this.#sets(worker)) {
      if (set.staggeredMs?.[stage] !== undefined) this.#ctx.tx.setMeta(startKey(stage, of), String(this.#ctx.nowMs));
    }
  }

  #sets(worker: string | null): (readonly [LimitSet, string | null])[] {
    const own = worker === null ? undefined : this.#limits?.workers[worker];
    return [[this.#limits?.all ?? {}, null], ...(own === undefined ? [] : [[own, worker] as const])];
  }

  #count(stage: Stage, worker: string | null, except: string): number {
    this.#running ??= this.#read();
    return this.#running
      .filter((row) => row.stage === stage && row.job !== except && (worker === null || row.worker === worker))
      .reduce((sum, { count }) => sum + count, 0);
  }

  /** What runs, and places held for PC1 while tickets are drawn. */
  #read(): { stage: Stage; worker: string | null; job: string | null; count: number }[] {
    const { tx, nowMs } = this.#ctx;
    const running = tx.runningByThread().map(({ stage, thread, count }) => ({
      stage,
      worker: thread === null ? null : workerOf(thread),
      job: null,
      count,
    }));
    const held = tx.reserved(nowMs);
    const places = held.map((job) => {
      const thread = tx.job(job)?.thread ?? null;
      return { stage: 'PC1' as const, worker: thread === null ? null : workerOf(thread), job, count: 1 };
    });
    return [...running, ...places];
  }
}

/** A stage was passed over until then: the runners that wait are woken. */
export function wakeRunnersAt(ctx: Context, ms: number): void {
  const known = Number(ctx.tx.meta(WAKE) ?? 0);
  if (known <= ctx.nowMs || ms < known) ctx.tx.setMeta(WAKE, String(ms));
}

/** When a start that was spaced out may happen; the runners that wait are woken once it is there. */
export function limitsWakeMs(ctx: Context): number | undefined {
  const at = Number(ctx.tx.meta(WAKE) ?? 0);
  if (at === 0) return undefined;
  if (at > ctx.nowMs) return at;
  ctx.tx.setMeta(WAKE, '0');
  wakeForStages(ctx);
  return undefined;
}

/** A stage ended: with limits, one that was passed over may start now. */
export function placeFreed(ctx: Context): void {
  if (ctx.settings.limits !== undefined || ctx.tx.meta(KEPT) !== undefined) wakeForStages(ctx);
}

/** Runners look again for what waits, one after the other while something is left: thousands at once would hold up heartbeats. */
function wakeForStages({ signals }: Context): void {
  for (const stage of Stage.options) signals.add(`stage:${stage}`);
}
