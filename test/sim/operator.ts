/** Carries out the actions of a script. */
import type { Context } from '../../src/scheduler/context.ts';
import { type Operated, abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { once } from '../../src/api/idempotency.ts';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import type { PlanName } from '../../src/schema/job.ts';
import type { Job } from '../../src/schema/job.ts';
import type { JobId, PieceId } from '../../src/schema/ids.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { EPOCH_MS } from './fake-chain.ts';
import { dataOf } from './existing.ts';
import { handJudged } from './oracle-hands.ts';
import { hashOf, sha } from './replica.ts';
import type { Action, Fault } from './script.ts';
import { spoiltKey } from './oracle-stored.ts';
import { MINER } from './settings.ts';
import { diskFails, storageHand } from './storage-hand.ts';
import { ACTOR, type World } from './world.ts';

/** Client data sent in, as the route of pieces does it: the object first, then the row. */
async function addPiece(world: World, sizeBytes: number, data?: string): Promise<PieceId | undefined> {
  const { plane, objects, clock } = world;
  if (plane === undefined) return undefined;
  const id = world.ids.next('p') as PieceId;
  const key = `pieces/${MINER}/${id}`;
  const content = data ?? `piece ${id} ${sha(id)}`;
  objects.objects.set(key, { content, sizeBytes: content.length });
  try {
    await plane.run((ctx) =>
      ctx.tx.insertPiece({
        id,
        miner: MINER,
        key,
        sizeBytes: String(content.length),
        hash: hashOf(content),
        paddedSizeBytes: String(sizeBytes),
        cid: null,
        job: null,
        reserved: false,
        createdMs: clock.nowMs,
      }),
    );
    return id;
  } catch {
    // Unanswered: whether the row is there is not known; what the sender does not know of is not the store's to keep.
    if (!world.reader.waitingPieces().some((row) => row.key === key)) objects.objects.delete(key);
    return undefined;
  }
}

/** An operation on a job. A refusal must leave the row as it was. */
export async function operate(world: World, index: number, fn: (id: JobId) => Promise<Job>, what: string): Promise<Job | undefined> {
  const told = [...world.history.jobs.values()].find((job) => job.index === index);
  if (told === undefined || world.plane === undefined) return undefined;
  try {
    const job = await fn(told.id as JobId);
    world.note(`${what} #${index}: now ${job.state}${job.paused ? ', paused' : ''}`);
    return job;
  } catch (error) {
    const refusal = error instanceof SealpoolError;
    world.note(`${what} #${index} was ${refusal ? 'refused' : 'not answered'}: ${(error as Error).message}`);
    if (refusal && error.status < 500) world.strike('operator_refused', `${what} refused: ${error.code}`, told.id);
    if (refusal && error.status === 500) world.breach('refusal', `${what} of #${index}: ${error.message}`);
    if (!refusal && !/connection broke|not up yet/.test((error as Error).message))
      world.breach('refusal', `${what} of #${index} failed with ${(error as Error).stack}`);
    return undefined;
  }
}

type Options = { readonly state?: string | undefined; readonly force: boolean };

export function abort(world: World, index: number, options: { force: boolean }): Promise<Job | undefined> {
  return byHand(world, index, options, options.force ? 'abort with force' : 'abort', (ctx, id) => abortJob(ctx, id, options, ACTOR));
}

export function resume(world: World, index: number, options: Options): Promise<Job | undefined> {
  const { state = 'here', force } = options;
  const what = `resume at ${state}${force ? ' with force' : ''}`;
  return byHand(world, index, options, what, (ctx, id) => resumeJob(ctx, id, options, ACTOR));
}

/** A hand that may give up what is paid for, or leave it behind: judged with its answer. */
async function byHand(
  world: World,
  index: number,
  { state: to, force }: Options,
  what: string,
  hand: (ctx: Context, id: JobId) => Operated,
): Promise<Job | undefined> {
  const { plane } = world;
  const did = { before: undefined as Job | undefined, notice: null as string | null };
  const done = (ctx: Context, id: JobId): Job => {
    did.before = ctx.tx.job(id);
    const { job, notice } = hand(ctx, id);
    did.notice = notice;
    return job;
  };
  const job = await operate(world, index, (id) => (plane as NonNullable<typeof plane>).run((ctx) => done(ctx, id)), what);
  const { before, notice } = did;
  if (job === undefined || before === undefined) return job;
  const { reader, chain } = world;
  const hands = { id: job.id, before, state: job.state, to, force, notice };
  const named = handJudged({ reader, chain, tables: planTables() }, hands, (promise, why) => world.breach(promise, why));
  if (job.state === 'Aborted') world.chainOracle.aborted(job.id, named);
  return job;
}

/** Asks with a key until it is answered: whatever became of the first asking, there are as many jobs as were asked for. */
async function pledgeOnce(world: World, request: Pledge): Promise<void> {
  const key = `pledge ${(world.pledges += 1)}`;
  const call = {
    get: (name: string) => (name === 'keyed' ? { key, request: JSON.stringify(request) } : { token: 't-simulated' }),
    header: () => undefined,
  } as unknown as Parameters<typeof once>[1];
  for (;;) {
    try {
      const made = await (world.plane ?? nobody()).run((ctx) =>
        once(ctx, call, () => ({ jobs: pledge(ctx, request, ACTOR).map(({ id }) => id) })),
      );
      if (made.jobs.length !== request.count)
        world.breach('once', `${key}: ${request.count} jobs were asked for, ${made.jobs.length} made`);
      for (const id of made.jobs) world.pledged.set(id, key);
      return;
    } catch (error) {
      world.note(`${key}: ${(error as Error).message}`);
      // Refused: nothing is there, and the key may be used again.
      if (error instanceof SealpoolError && error.status < 500) return;
      await world.clock.sleep(1_000);
    }
  }
}

function nobody(): never {
  throw new Error('the connection broke: nobody answers');
}

/** Does what a line of the script says. */
export async function act(world: World, action: Action): Promise<void> {
  const { chain, plane, fleet } = world;
  const told =
    'job' in action && action.job !== undefined ? [...world.history.jobs.values()].find(({ index }) => index === action.job) : undefined;
  switch (action.do) {
    case 'pledge': {
      const pieces: PieceId[] = [];
      for (let at = 0; at < (action.pieces ?? 0); at += 1) {
        const id = await addPiece(world, 512, action.ownData === true ? dataOf(action.sector ?? 0) : undefined);
        if (id !== undefined) pieces.push(id);
      }
      const { sector, skipOnchainCheck } = action;
      const request = {
        plan: action.plan as PlanName,
        miner: MINER,
        count: action.count,
        ...(pieces.length === 0 ? {} : { pieces }),
        sector,
        skipOnchainCheck,
      };
      await pledgeOnce(world, request);
      return;
    }
    case 'piece':
      await addPiece(world, action.sizeBytes);
      return;
    case 'pause':
      if (told !== undefined) world.strike('pause', 'an operator pauses', told.id);
      await operate(
        world,
        action.job,
        (id) => (plane as NonNullable<typeof plane>).run((ctx) => pauseJob(ctx, id, { now: action.now }, ACTOR)),
        action.now ? 'pause now' : 'pause',
      );
      return;
    case 'resume':
      if (told !== undefined) world.strike(action.state === undefined ? 'resume' : 'resume_back', 'an operator resumes', told.id);
      await resume(world, action.job, action);
      return;
    case 'abort':
      await abort(world, action.job, action);
      return;
    case 'port':
      world.faults.arm(action);
      return;
    case 'stage':
      world.stageFaults.push({ job: action.job, how: action.how });
      return;
    case 'join':
      fleet.join(action.trust, 2);
      return;
    case 'runner':
      await runner(world, action);
      return;
    case 'tests': {
      const member = fleet.members[action.runner];
      if (member === undefined) return;
      member.testing = action.how;
      world.strike('self_test', `${member.name} answers self-tests: ${action.how}`);
      return;
    }
    case 'restart':
      await world.restart(action.awayMs, action.crash, action.change);
      return;
    case 'stall':
      world.strike('stall', `the control plane stands still for ${action.ms} ms`);
      world.clock.stall(action.ms);
      return;
    case 'restore':
      await world.loseDisk(action);
      return;
    case 'exit_code':
      chain.forceExit(action.method, action.code);
      world.note(`! ${action.method} will end with exit code ${action.code}`);
      return;
    case 'chain':
      onChain(world, action);
      return;
    case 'rot':
      rot(world, action.what, action.match ?? '');
      return;
    case 'disk':
      await diskFails(world, action);
      return;
    case 'storage': {
      const disk = world.disks.all[action.disk];
      if (disk !== undefined) await storageHand(world, disk.id, action.act);
      return;
    }
    case 'errand':
      world.errandFaults.push(...Array.from({ length: action.count }, () => action.how));
      return;
  }
}

/** As the coverage table counts what an action does to a runner. */
const STRIKES: Partial<Record<Extract<Action, { do: 'runner' }>['act'], Fault>> = {
  drain: 'fleet_hand',
  cordon: 'fleet_hand',
  ban: 'fleet_hand',
  ready: 'fleet_hand',
  sigterm: 'hand_back',
  upgrade: 'hand_back',
  cut: 'cut',
  found_out: 'fleet_hand',
};

async function runner(world: World, action: Extract<Action, { do: 'runner' }>): Promise<void> {
  const member = world.fleet.members[action.runner];
  if (member === undefined) return;
  const { fleet } = world;
  if (action.act === 'thief' || action.act === 'late_thief') {
    await fleet.steal(member, action.act === 'late_thief');
    return;
  }
  // Of the next credential something goes wrong only when it comes.
  if (!action.act.startsWith('keep_')) world.strike(STRIKES[action.act] ?? 'runner_lost', `${member.name}: ${action.act}`);
  switch (action.act) {
    case 'leave':
      world.fleet.leave(member);
      return;
    case 'reboot':
      world.fleet.boot(member);
      return;
    case 'freeze':
      if (member.process !== undefined) member.process.frozenUntilMs = world.clock.nowMs + action.ms;
      return;
    case 'cut':
      if (member.process !== undefined) member.process.cutUntilMs = world.clock.nowMs + action.ms;
      return;
    case 'found_out':
      await world.clock.sleep(action.ms);
      for (const thief of member.thieves) thief.die();
      await fleet.setStatus(member, 'ready').catch(() => undefined);
      return;
    case 'sigterm':
      await fleet.term(member, action.ms);
      return;
    case 'upgrade':
      world.offered = String(Number(world.offered ?? '1') + 1);
      return;
    case 'keep_fails':
      member.disk.keepFails += 1;
      await member.process?.beat();
      return;
    case 'keep_dies':
      member.disk.keepDies += 1;
      await member.process?.beat();
      return;
    default: {
      const status = { drain: 'draining', cordon: 'cordoned', ban: 'banned', ready: 'ready' } as const;
      if (action.act === 'ban' && member.id !== undefined) world.fleetOracle.banning(member.id);
      await world.fleet.setStatus(member, status[action.act]).catch(() => undefined);
    }
  }
}

function onChain(world: World, action: Extract<Action, { do: 'chain' }>): void {
  const { chain } = world;
  switch (action.what) {
    case 'reorg':
      world.strike('reorg', `a reorg of ${action.depth} epochs${action.lose ? ' that loses its messages' : ''}`);
      chain.reorg(action.depth, action.lose);
      return;
    case 'null_rounds':
      world.strike('reorg', `${action.depth} null rounds of ${EPOCH_MS} ms`);
      chain.nullRounds(action.depth);
      return;
    case 'mempool_loss':
      world.strike('mempool_loss', 'the mempool is lost');
      chain.loseMempool();
      return;
    case 'foreign':
      world.note('! other software will take the next nonce');
      chain.raceNextSign = true;
      return;
    case 'taken': {
      const next = Math.max(0, ...world.reader.jobs().map(({ number }) => number ?? 0)) + 1;
      chain.take(MINER, next);
      world.strike('chain_refuses', `other software took sector ${next}`);
    }
  }
}

/** Bytes go bad: in object storage, or in the miner's. */
function rot(world: World, what: 'object' | 'stored', match: string): void {
  const { objects } = world.objects;
  if (what === 'stored') {
    const all = world.disks.all.flatMap((disk) => [...disk.files.keys()].map((path) => [disk, path] as const));
    const matching = all.filter(([, path]) => path.includes(match));
    if (matching.length === 0) return;
    const [disk, path] = world.rng.pick(matching);
    world.spoilt.add(spoiltKey(disk, path));
    world.strike('rot', `${path} in ${disk.id} went bad`);
    disk.files.set(path, 'rotten');
    return;
  }
  const keys = [...objects.keys()].filter((key) => key.startsWith('jobs/') && key.includes(match));
  if (keys.length === 0) return;
  const key = world.rng.pick(keys);
  world.spoilt.add(key);
  world.strike('rot', `${key} went bad`);
  const sizeBytes = objects.get(key)?.sizeBytes ?? 1;
  objects.set(key, { content: 'x'.repeat(sizeBytes), sizeBytes });
}
