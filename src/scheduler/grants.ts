/** Grants: which stages a runner gets when it asks. A grant never moves; a new attempt has a higher lease epoch. */
import { exactSizeBytes, maxSizeBytes } from '../schema/artifact.ts';
import { type AttemptId, type JobId, sectorName } from '../schema/ids.ts';
import type { Attempt, Expected, Job } from '../schema/job.ts';
import type { Manifest } from '../schema/manifest.ts';
import type { Stage, Work } from '../schema/stage.ts';
import { change, goBack, note, want } from './change.ts';
import type { Context } from './context.ts';
import { alone, fail, settle } from './engine.ts';
import { LimitGate, placeFreed, wakeRunnersAt } from './limits.ts';
import { type Placed, noRoom, placeStored, takePlace } from './miner-storage.ts';
import { Invariant, type StageWork } from './plan.ts';
import { planOf } from './plans/all.ts';
import { made } from './plans/made.ts';
import { pieceInput } from './piece-input.ts';
import { type Fault, RESERVING, failedOn, misfit } from './placement/feasible.ts';
import { PlacementGate, aliveSinceMs, patienceOf, waitedMs } from './placement/gate.ts';
import { keptFrom } from './placement/place.ts';
import type { RunnerRow } from './ports.ts';
import { dueOf } from './progress.ts';
import { untested } from './self-test/standing.ts';
import { assignFreed } from './threads.ts';
import { agedTicket, ticketTooOld } from './ticket.ts';

/** Jobs read at a time: few at first, since most often the first ones are taken, then four times as many each time. */
const LOOK_AT_FIRST = 4;
const LOOK_AT_MOST = 200;
/** Jobs looked at per request: a runner that fits none of so many waits for the next change. */
const MOST_LOOKED_AT = 2_000;
/** Runners read at a time. */
const RUNNERS_READ = 50;

export type GrantPlan = {
  readonly attempt: AttemptId;
  readonly epoch: number;
  readonly stage: Stage;
  readonly work: Work;
  readonly leaseMs: number;
  /** Id of the request that it is granted to: it leads through all that comes of the grant. */
  readonly request: string | null;
  /** `s-t01000-7`; null before it has a number. */
  readonly sector: string | null;
  readonly inputs: readonly {
    readonly name: string;
    readonly key: string;
    readonly sizeBytes: string;
    readonly hash: string;
    /** The stage can do without it. */
    readonly required?: false;
    readonly manifest?: Manifest | undefined;
  }[];
  readonly outputs: readonly {
    readonly name: string;
    readonly key: string;
    readonly maxSizeBytes: number;
    /** It has this size and no less. */
    readonly exactly: boolean;
    readonly required: boolean;
    readonly early?: true;
  }[];
};

/** Lease of a stage in milliseconds: the heartbeat lease plus what its lost work is worth waiting for. */
export function leaseMs(ctx: Context, stage: Stage): number {
  return ctx.settings.leaseMs + (ctx.settings.graceMs[stage] ?? 0);
}

/** Stages for up to `freeSlots` places of this runner, in the order of their ranks; what a better runner should have is left to it. */
export function grantStages(ctx: Context, runner: RunnerRow, freeSlots: number): GrantPlan[] {
  if (runner.status !== 'ready' || freeSlots <= 0) return [];
  const grants: GrantPlan[] = [];
  const gates: Gates = { limits: new LimitGate(ctx), placement: new PlacementGate(ctx, runner), freeMs: Number.POSITIVE_INFINITY };
  const reserved = new Set<string>(ctx.tx.reservedOn(runner.id, ctx.nowMs));
  // Whether a job that a place is held for may be in the queue: most wait for their ticket.
  const comes = [...reserved].some((id) => ctx.tx.job(id as JobId)?.waiting.for === 'runner');
  const untouched = new Set<string>();
  for (const job of queued(ctx, runner, untouched)) {
    // Places held for tickets that are being drawn count as taken, except for the job they are held for.
    const held = [...reserved].filter((id) => id !== job.id).length;
    const free = freeSlots - grants.length;
    if (free <= 0 || gates.placement.passedEnough) break;
    untouched.add(job.id);
    if (free - held <= 0) {
      if (!comes) break;
      continue;
    }
    if (gates.placement.passesUnseen(job)) continue;
    untouched.delete(job.id);
    alone(ctx, job, () => {
      const given = offer(ctx, runner, job, gates, held);
      if (given === 'passed') untouched.add(job.id);
      if (given === 'reserved') reserved.add(job.id);
      if (typeof given === 'string') return;
      grants.push(given);
      reserved.delete(job.id);
    });
  }
  if (Number.isFinite(gates.freeMs)) wakeRunnersAt(ctx, gates.freeMs);
  assignFreed(ctx);
  return grants;
}

/** Jobs that wait for a stage this runner does, by their ranks, read as far as they are asked for. `untouched`: ids of jobs that are still as they were read. */
function* queued(ctx: Context, runner: RunnerRow, untouched: ReadonlySet<string>): Generator<Job> {
  let looked = 0;
  let stay = 0;
  for (let size = LOOK_AT_FIRST; looked < MOST_LOOKED_AT; size = Math.min(LOOK_AT_MOST, size * 4)) {
    const page = ctx.tx.jobsForRunner(runner.stages, size, stay);
    for (const job of page) {
      yield job;
      // What was granted or moved on is no longer in the queue that the next page is counted from, or behind all others.
      if (untouched.has(job.id)) stay += 1;
    }
    if (page.length < size) return;
    looked += page.length;
  }
}

type Gates = {
  readonly limits: LimitGate;
  readonly placement: PlacementGate;
  /** When the first of what was passed over may be taken. */
  freeMs: number;
};

/**
 * Gives this job's stage to the runner if it fits, or holds a place for it. `held`: places held on it for others. `passed`: the job is
 * as it was; `moved`: it was settled anew.
 */
function offer(ctx: Context, runner: RunnerRow, job: Job, gates: Gates, held: number): GrantPlan | 'reserved' | 'passed' | 'moved' {
  const plan = planOf(job.plan);
  const todo = plan.todo(job);
  if ((todo.do !== 'stage' && todo.do !== 'reserve') || ticketTooOld(ctx, job, todo) !== undefined) {
    settle(ctx, job);
    return 'moved';
  }
  const work = todo.do === 'reserve' ? RESERVING : plan.work(job, todo.stage);
  if (untested(ctx.settings, runner, todo.stage) !== undefined) return 'passed';
  if (misfit(runner, todo.stage, work, job, ctx.nowMs) !== undefined) return 'passed';
  const stored = placeStored(ctx, runner, job, work);
  if (stored.placed === 'nowhere') return 'passed';
  const failed = failedOn(ctx.tx.attemptsOfJob(job.id), job, todo.stage);
  if (avoided(ctx, runner, job, { stage: todo.stage, work, failed }, gates.placement)) return 'passed';
  const limited = gates.limits.against(job, todo.stage);
  const placed = limited === undefined ? gates.placement.judge(job, todo.stage, work, failed, held) : { left: limited };
  if ('left' in placed) {
    gates.freeMs = Math.min(gates.freeMs, placed.left.freeMs ?? Number.POSITIVE_INFINITY);
    return 'passed';
  }
  const aged = agedTicket(ctx, job, todo);
  const given = aged === undefined ? job : goBack(ctx, job, 'TreeDBuilt', 'engine', aged);
  const next = aged === undefined ? todo : plan.todo(given);
  if (next.do !== 'stage' && next.do !== 'reserve') throw new Invariant(`job ${job.id} went back to ${given.state} and asks for no runner`);
  gates.limits.started(given, next.stage);
  if (next.do === 'stage') {
    gates.placement.granted(next.stage, placed.take);
    const asked = aged === undefined ? work : plan.work(given, next.stage);
    return grant(ctx, runner, given, next.stage, { asked, stored, expected: placed.take });
  }
  reserve(ctx, given, runner, next);
  return 'reserved';
}

function reserve(ctx: Context, job: Job, runner: RunnerRow, todo: { step: string; want: Parameters<typeof want>[3] }): void {
  const reserved = { runner: runner.id, untilMs: ctx.nowMs + ctx.settings.reservationMs };
  const held = change(ctx, job, { reserved });
  change(ctx, held, { waiting: { for: 'effect', effect: want(ctx, held, todo.step, todo.want) } });
}

type Offered = { readonly stage: Stage; readonly work: StageWork; readonly failed: ReadonlyMap<string, Fault> };

/** True when this runner failed the stage before and another ready one that did not would take it, soon enough. */
function avoided(ctx: Context, runner: RunnerRow, job: Job, { stage, work, failed }: Offered, placement: PlacementGate): boolean {
  const fault = failed.get(runner.id);
  if (fault === undefined) return false;
  const aliveSince = aliveSinceMs(ctx);
  // Read as far as it takes to find one: of thousands the first few will do.
  for (let skip = 0; ; skip += RUNNERS_READ) {
    const page = ctx.tx.readyRunners(stage, aliveSince, RUNNERS_READ, skip);
    const would = (other: RunnerRow): boolean => {
      if (failed.has(other.id)) return false;
      if (misfit(other, stage, work, job, ctx.nowMs) !== undefined || untested(ctx.settings, other, stage) !== undefined) return false;
      const queueMs = noRoom(ctx, other, job, work) === undefined ? placement.queueMs(other, job, stage, work) : undefined;
      return queueMs !== undefined && keptFrom(fault, [queueMs], waitedMs(ctx, job), patienceOf(ctx));
    };
    if (page.some(would)) return true;
    if (page.length < RUNNERS_READ) return false;
  }
}

type Choice = { readonly asked: StageWork; readonly stored: Placed; readonly expected: Expected };

function grant(ctx: Context, runner: RunnerRow, job: Job, stage: Stage, { asked, stored, expected }: Choice): GrantPlan {
  const work = stored.placed === 'named' ? stored.work : asked;
  const id = ctx.ids.next('a') as AttemptId;
  const epoch = ctx.tx.lastEpoch(job.id, stage) + 1;
  const lease = leaseMs(ctx, stage);
  const attempt: Attempt = {
    id,
    job: job.id,
    stage,
    state: job.state,
    generation: job.generation,
    epoch,
    runner: runner.id,
    status: 'running',
    leaseUntilMs: ctx.nowMs + lease,
    grantedMs: ctx.nowMs,
    endedMs: null,
    fraction: null,
    secondsLeft: null,
    note: null,
    logTail: '',
    failure: null,
    request: ctx.request ?? null,
    progressMs: null,
    dueMs: dueOf(ctx.settings, stage, ctx.nowMs, ctx.nowMs),
    expected,
  };
  ctx.tx.insertAttempt(attempt);
  takePlace(ctx, job, id, stored);
  const running = change(ctx, job, { waiting: { for: 'stage', stage, attempt: id }, ...(stage === 'PC1' ? { reserved: null } : {}) });
  note(ctx, running, {
    actor: `runner:${runner.id}`,
    kind: 'attempt',
    detail: { attempt: id, stage, runner: runner.id, epoch, status: 'running' },
  });
  return {
    attempt: id,
    epoch,
    stage,
    work: work.work,
    leaseMs: lease,
    request: attempt.request,
    sector: job.number === null ? null : sectorName(job.miner, job.number),
    inputs: inputsOf(ctx, job, work),
    outputs: outputsOf(job, work, id),
  };
}

/** The files that a stage reads: artifacts, then pieces. */
export function inputsOf(ctx: Context, job: Job, work: StageWork): GrantPlan['inputs'] {
  const files = work.inputs.map(({ name, artifact, required }) => {
    const { key, sizeBytes, hash } = made(job, job.data.artifacts[artifact], `artifact ${artifact}`);
    return { name, key, sizeBytes, hash, ...(required === undefined ? {} : { required }), manifest: ctx.tx.manifest(key) };
  });
  const pieces = work.pieces
    ? job.data.pieces.map(({ key, sizeBytes, hash }, at) => ({
        name: pieceInput(at),
        key,
        sizeBytes,
        hash,
        manifest: ctx.tx.manifest(key),
      }))
    : [];
  return [...files, ...pieces];
}

/** Keys contain the attempt: a late upload of an old one can never touch a file that counts. */
export function outputKey(job: Job, attempt: AttemptId, artifact: string): string {
  return `jobs/${job.id}/${attempt}/${artifact}`;
}

/** The files that a stage may make, each with the key it gets. */
export function outputsOf(job: Job, work: StageWork, attempt: AttemptId): GrantPlan['outputs'] {
  return work.outputs.map(({ name, artifact, required, early }) => {
    const exact = exactSizeBytes(name, job.data.sealProof);
    return {
      name,
      key: outputKey(job, attempt, artifact),
      maxSizeBytes: exact ?? maxSizeBytes(name, job.data.sealProof),
      exactly: exact !== undefined,
      required,
      ...(early === undefined ? {} : { early }),
    };
  });
}

/** A grant that could not be handed out (no upload could be opened): nobody's fault, the stage waits a little. */
export function handBack(ctx: Context, attempt: AttemptId, reason: string): void {
  const row = ctx.tx.attempt(attempt);
  if (row === undefined || row.status !== 'running') return;
  ctx.tx.updateAttempt({ ...row, status: 'cancelled', endedMs: ctx.nowMs, failure: reason });
  placeFreed(ctx);
  const job = ctx.tx.job(row.job);
  if (job === undefined) return;
  const { stage, runner, epoch } = row;
  note(ctx, job, { actor: 'engine', kind: 'attempt', detail: { attempt, stage, runner, epoch, status: 'cancelled', reason } });
  if (job.generation !== row.generation) return;
  fail(ctx, job, { category: 'temporary', code: 'object_store', message: `${reason}; the stage is granted again by itself` }, false);
}
