/**
 * `npm run golden -- VERSION`: plays jobs of every plan into every state with the engine of today, and keeps the
 * database with what was in flight as NUMBER-VERSION.json.gz here. Run it once for each released version, before the
 * next migration or change of a plan, and never again for the same one. Real: engine, store, SQL. Stood in for:
 * runners and chain (honest.ts). `0000-first` was recorded by the first version's own code, which only sealed.
 */
import { restarted } from '../../src/scheduler/tick.ts';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { abortJob, pauseJob } from '../../src/scheduler/operate.ts';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import type { JobId } from '../../src/schema/ids.ts';
import type { Job, PlanName } from '../../src/schema/job.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import { existing } from './existing.ts';
import { dump, writeHistory } from './history.ts';
import { MINER, World } from '../scheduler/world.ts';

/** How a job is left once it is in `state`. */
type Leave = 'in flight' | 'paused' | 'failing' | 'signed' | 'aborted' | 'over';
type Wanted = { readonly plan: string; readonly state: string; readonly leave: Leave; readonly upgraded?: boolean };

const ROUNDS = 120;
/** No lease runs out while the other jobs come to their places. */
const LEASE_MS = 1_000_000_000;

const tables = planTables();
const wanted: Wanted[] = Object.entries(tables).flatMap(([plan, table]) =>
  Object.keys(table)
    .filter((state) => state !== 'Aborted')
    .map((state): Wanted => ({ plan, state, leave: state === 'Finished' ? 'over' : 'in flight', upgraded: plan === 'rebuild' })),
);
wanted.push(
  { plan: 'rebuild', state: 'SnapDone', leave: 'in flight' },
  { plan: 'sealer', state: 'PC1Done', leave: 'paused' },
  { plan: 'sealer', state: 'PC2Done', leave: 'signed' },
  { plan: 'sealer', state: 'C2Done', leave: 'signed' },
  { plan: 'sealer', state: 'PCSubmitted', leave: 'failing' },
  { plan: 'sealer', state: 'TreeDBuilt', leave: 'aborted' },
);

const world = new World({
  leaseMs: LEASE_MS,
  threads: Object.keys(tables).flatMap((plan) =>
    wanted.map((_, index) => ({ worker: plan, index, plan: plan as PlanName, miner: null, auto: false })),
  ),
});

const jobs = new Map<JobId, Wanted>();
const reports: { runner: string; report: Record<string, unknown> }[] = [];
const done = new Set<JobId>();

async function begin(): Promise<void> {
  for (const [at, one] of wanted.entries()) {
    const request: Partial<Pledge> = one.plan === 'sealer' ? {} : await existing(world, one.plan, 500 + at, one.upgraded === true);
    // A job in Empty waits for a thread, or for what it is asked about its sector.
    const [job] = await world.run((ctx) => pledge(ctx, { plan: one.plan, miner: MINER, count: 1, ...request }, 'test'));
    jobs.set((job as Job).id, one);
  }
}

/** True when the job is where it is wanted: it is left there, as it is or as `leave` says. */
async function arrived(id: JobId, effect?: EffectRow): Promise<boolean> {
  const job = await world.job(id);
  const { state, leave } = jobs.get(id) as Wanted;
  if (done.has(id)) return true;
  if (job.state !== state || leave === 'over') return false;
  if (leave === 'signed' && effect?.want.kind !== 'message') return false;
  if (leave === 'failing' && effect === undefined) return false;
  done.add(id);
  if (leave === 'paused') await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  if (leave === 'aborted') await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
  if (effect !== undefined && leave === 'failing') {
    const error = { category: 'temporary' as const, code: 'node_away', message: 'the node is away; it is asked again' };
    await world.perform(effect, { outcome: 'failed', ...error } as never);
  }
  if (effect !== undefined && leave === 'signed') await world.sign(effect);
  return true;
}

await world.run((ctx) => restarted(ctx));
const runner = await world.register('own');
await begin();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const effect of await world.effects()) {
    if (effect.job === null || !(await arrived(effect.job, effect))) await world.perform(effect);
  }
  for (const one of await world.grant(runner.id, wanted.length)) {
    const attempt = await world.run((ctx) => ctx.tx.attempt(one.grant.attempt));
    if (attempt === undefined) throw new Error(`attempt ${one.grant.attempt} is not there`);
    if (await arrived(attempt.job)) reports.push({ runner: one.runner, report: world.honest(one) });
    else await world.report(one.runner, world.honest(one));
  }
  await world.tick(1_000);
}

const left: Record<string, string> = {};
const passed: string[] = [];
for (const [id, { plan, state, leave }] of jobs) {
  const job = await world.job(id);
  const there = job.state === (leave === 'aborted' ? 'Aborted' : state);
  // Some states are passed within one transaction: no job is ever found in them.
  if (!there && job.state !== 'Finished') throw new Error(`${plan} stopped in ${job.state} before ${state}: ${job.error?.message}`);
  if (!there) passed.push(`${plan} ${state}`);
  left[id] = there ? leave : 'over';
}
const version = process.argv[2];
if (version === undefined) throw new Error('name the version that is recorded: npm run golden -- VERSION');
const { path, sizeBytes } = writeHistory(version, {
  sql: dump(world.path),
  nowMs: world.nowMs,
  ...world.used,
  reports,
  sectors: [...world.chain.sectors],
  left,
});
world.close();
console.log(`${path}: ${jobs.size} jobs, ${reports.length} reports in hand, ${sizeBytes} bytes; no job rests in ${passed.join(', ')}`);
