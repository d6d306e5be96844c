/** Every runner beside a stage that waits: whether it fits, and what the stage would cost there. Reads only. */
import type { Job } from '../../schema/job.ts';
import type { Stage } from '../../schema/stage.ts';
import type { Context } from '../context.ts';
import { epochsToMs } from '../head.ts';
import { noRoom } from '../miner-storage.ts';
import type { StageWork } from '../plan.ts';
import type { RunnerRow } from '../ports.ts';
import { untested } from '../self-test/standing.ts';
import { askedOf } from './asked.ts';
import { failedOn, misfit } from './feasible.ts';
import { Loads, alive, patienceOf, pricedOf, waitedMs } from './gate.ts';
import { lackedBytes } from './holdings.ts';
import { cramped, roomOf } from './load.ts';
import { type Priced, cheapest, keptFrom } from './place.ts';
import type { Cost } from './score.ts';

export type Candidate = {
  readonly runner: string;
  readonly name: string;
  readonly fits: boolean;
  /** As a clause. */
  readonly why: string;
  /** The stage would go to it. */
  readonly gets: boolean;
  /** Null where it does not fit. */
  readonly cost: Cost | null;
};

/** By registration. */
export function candidatesFor(ctx: Context, job: Job, stage: Stage, work: StageWork): Candidate[] {
  const failed = failedOn(ctx.tx.attemptsOfJob(job.id), job, stage);
  const asked = askedOf(job, stage, work, epochsToMs(ctx, 1));
  const loads = new Loads(ctx);
  const runners = ctx.tx.runners();
  loads.read(runners.map(({ id }) => id));
  const able = runners.map(
    (runner): { readonly runner: RunnerRow; readonly why: string | undefined; readonly priced: Priced | undefined } => {
      const unfit = misfit(runner, stage, work, job, ctx.nowMs) ?? untested(ctx.settings, runner, stage) ?? noRoom(ctx, runner, job, work);
      const away = alive(ctx, runner) ? undefined : 'it has not been heard of lately';
      const priced = unfit === undefined && away === undefined ? pricedOf(ctx, asked, runner, loads) : undefined;
      const room = roomOf(asked.needs, lackedBytes(runner, asked.inputs));
      const never = priced === undefined ? (cramped(runner, room, []) ?? 'what it has in hand leaves no room for it') : undefined;
      return { runner, why: unfit ?? away ?? never, priced };
    },
  );
  const queuesMs = able.flatMap(({ runner, why, priced }) =>
    why !== undefined || priced === undefined || failed.has(runner.id) ? [] : [priced.cost.queueS * 1000],
  );
  const looked = able.map((one) => {
    const fault = failed.get(one.runner.id);
    const kept = fault !== undefined && keptFrom(fault, queuesMs, waitedMs(ctx, job), patienceOf(ctx));
    return kept ? { ...one, why: one.why ?? 'it failed this stage before: others go first' } : one;
  });
  const open = looked.flatMap(({ why, priced }) => (why === undefined && priced !== undefined ? [priced] : []));
  const [first] = open.length > 0 ? [cheapest(open)] : [cheapest(looked.flatMap(({ priced }) => priced ?? []))];
  return looked.map(({ runner, why, priced }) => ({
    runner: runner.id,
    name: runner.name,
    fits: why === undefined,
    why: why ?? fitting(runner.id === first?.runner, priced?.cost.queueS ?? 0),
    gets: runner.id === first?.runner,
    cost: priced?.cost ?? null,
  }));
}

function fitting(gets: boolean, queueS: number): string {
  if (!gets) return 'it fits, and another one is expected to be cheaper';
  return queueS > 0 ? 'it fits and gets the stage when it has a free place' : 'it fits and gets the stage when it asks';
}
