/**
 * Resume from every paused state of all four plans to every state of all plans: what is accepted finishes, what
 * is refused leaves the whole database as it was, byte for byte.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { setHead } from '../../src/scheduler/head.ts';
import { isFinal } from '../../src/scheduler/machine.ts';
import { pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { PLANS } from '../../src/scheduler/plans/all.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, TICKET, UPDATE_COMM_R } from './honest.ts';
import { wholeDatabase } from './whole-database.ts';
import { MINER, World } from './world.ts';

/** Besides one run from each place. */
const RUNS = 40;
const FLOWS = ['sealer', 'snapup', 'rebuild', 'rebuild of an upgraded sector', 'unseal'] as const;
type Flow = (typeof FLOWS)[number];
const NAMES = [...new Set([...Object.values(PLANS).flatMap(({ table }) => Object.keys(table)), 'Abort', 'Nonsense', 'constructor'])];
const NUMBER = 40;

const known: SectorRecord = {
  miner: MINER,
  number: NUMBER,
  sealProof: 'StackedDrg2KiBV1_1',
  ticket: { epoch: TICKET.epoch, value: null },
  commD: COMM_D,
  commR: COMM_R,
  pieces: [],
  update: null,
  files: { storage: 'store', root: '/storage', files: null },
  preCommit: null,
  proveCommit: null,
  replicaUpdate: null,
  source: 'lotus',
};

/** One job of a flow, with all that it needs. */
class Play {
  readonly world = new World({
    threads: (['sealer', 'snapup', 'rebuild', 'unseal'] as const).map((plan, index) => ({
      worker: 'local',
      index,
      plan,
      miner: null,
      auto: false,
    })),
  });
  own!: RunnerId;
  id!: Job['id'];

  async begin(flow: Flow): Promise<void> {
    const { world } = this;
    await world.start();
    this.own = (await world.register('own')).id;
    const upgraded = flow === 'rebuild of an upgraded sector';
    const update = upgraded ? { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA } : null;
    await world.run((ctx) => {
      setHead(ctx, { epoch: 10_950, epochMs: 30_000 });
      ctx.tx.putSectorRecord({ ...known, update });
    });
    if (upgraded) world.chain.proven(NUMBER, UPDATE_COMM_R.cid, COMM_R.cid);
    else world.chain.proven(NUMBER);
    const pieces = flow === 'snapup' || upgraded ? { pieces: [await world.piece()] } : {};
    const plan = upgraded ? 'rebuild' : flow;
    const sector = plan === 'sealer' ? {} : { sector: NUMBER };
    const [job] = await world.run((ctx) => pledge(ctx, { plan, miner: MINER, count: 1, ...pieces, ...sector }, 'test'));
    this.id = (job as Job).id;
  }

  job = (): Promise<Job> => this.world.job(this.id);

  /** The smallest honest step there is: one effect, or one stage begun, or one answered. */
  async step(): Promise<void> {
    const { world } = this;
    const [effect] = await world.effects();
    if (effect !== undefined) {
      await world.perform(effect);
      return;
    }
    const [granted] = await world.grant(this.own);
    if (granted === undefined) await world.tick(1_000);
    else await world.report(this.own, world.honest(granted));
  }

  /** The code that each of these resumes is refused with; none of them may change a row. */
  async refusals(states: readonly (string | undefined)[], force: boolean): Promise<(string | undefined)[]> {
    const before = wholeDatabase(this.world);
    const codes: (string | undefined)[] = [];
    for (const state of states) codes.push(await this.resume(state, force));
    if (!codes.includes(undefined)) expect(wholeDatabase(this.world), `refused ${states.join(', ')}`).toBe(before);
    return codes;
  }

  /** Undefined when it was accepted, else the code. */
  private async resume(state: string | undefined, force: boolean): Promise<string | undefined> {
    try {
      await this.world.run((ctx) => resumeJob(ctx, this.id, { state, force }, 'test'));
      return undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(SealpoolError);
      const { code, message } = error as SealpoolError;
      if (code === 'live_pre_commit') expect(message).toMatch(/a deposit of 1\.5 FIL .* epochs/);
      if (code === 'unknown_state' || code === 'inputs_missing') expect(message).toMatch(/you can resume at .*Aborted/);
      return code;
    }
  }
}

/** States that a job of the flow is found in between two steps, each with the steps that lead there. */
async function places(flow: Flow): Promise<{ flow: Flow; state: string; steps: number }[]> {
  const play = new Play();
  try {
    await play.begin(flow);
    const found: { flow: Flow; state: string; steps: number }[] = [];
    for (let steps = 0; !isFinal((await play.job()).state); steps += 1) {
      found.push({ flow, state: (await play.job()).state, steps });
      await play.step();
    }
    return found;
  } finally {
    play.world.close();
  }
}

test('every state, from every paused state: accepted ones finish, refused ones leave every row untouched', async () => {
  const all = (await Promise.all(FLOWS.map(places))).flat();
  const scenario = fc.record({
    place: fc.constantFrom(...all),
    running: fc.boolean(),
    state: fc.option(fc.constantFrom(...NAMES), { nil: undefined, freq: 20 }),
    pick: fc.nat(),
  });
  // Each place at least once, whatever the rest of the runs picks.
  const each = all.map((place, pick): [{ place: typeof place; running: boolean; state: string | undefined; pick: number }] => [
    { place, running: pick % 2 === 0, state: undefined, pick: pick * 7 },
  ]);
  await fc.assert(
    fc.asyncProperty(scenario, async ({ place: { flow, steps }, running, state, pick }) => {
      const play = new Play();
      const { world } = play;
      try {
        await play.begin(flow);
        for (let at = 0; at < steps; at += 1) await play.step();
        if (running) await world.grant(play.own);
        const now = (await play.job()).waiting.for === 'stage' && pick % 3 === 0;
        await world.run((ctx) => pauseJob(ctx, play.id, { now }, 'test'));
        const paused = await play.job();
        const live = paused.data.preCommit !== undefined;
        const { order, table, messages } = PLANS[paused.plan];
        const elsewhere = NAMES.filter((name) => !Object.hasOwn(table, name) && name !== 'Abort');
        expect(new Set(await play.refusals(elsewhere, true))).toEqual(new Set(['unknown_state']));
        const ahead = order.slice(order.indexOf(paused.state) + 1);
        expect(new Set(await play.refusals(ahead, true))).toEqual(new Set(['inputs_missing']));

        const known = state !== undefined && Object.hasOwn(table, state);
        const target = known || state === 'Abort' ? state : order[pick % (order.indexOf(paused.state) + 1)];
        const [refused] = await play.refusals([target], false);
        if (refused !== undefined) {
          expect(['live_pre_commit', 'live_message', 'stage_running', 'inputs_missing']).toContain(refused);
          const [forced] = await play.refusals([target], true);
          if (refused === 'live_pre_commit') expect({ live, forced }).toEqual({ live: true, forced: undefined });
          if (forced !== undefined) expect([forced, ...(await play.refusals([undefined], true))]).toEqual(['inputs_missing', undefined]);
        }
        await world.finish([play.own]);
        const done = await play.job();
        const aborts = target === 'Aborted' || target === 'Abort';
        expect(done.state, `${target} from ${paused.state}: ${JSON.stringify(done.error)}`).toBe(aborts ? 'Aborted' : 'Finished');
        const effects = await world.run((ctx) => ctx.tx.effectsOfJob(play.id));
        for (const step of Object.keys(messages)) {
          expect(effects.filter((effect) => effect.step === step && effect.signed !== null).length, step).toBeLessThanOrEqual(1);
        }
        if (live && !aborts) expect(done.data).toMatchObject({ ticket: paused.data.ticket, commR: paused.data.commR ?? COMM_R });
      } finally {
        world.close();
      }
    }),
    { numRuns: all.length + RUNS, examples: each },
  );
}, 240_000);
