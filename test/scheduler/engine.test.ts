import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { heartbeat, loseUnknown, seen } from '../../src/scheduler/fleet.ts';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import { explain } from '../../src/scheduler/explain.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import { COMM_D } from './honest.ts';
import { type Granted, MINER, World } from './world.ts';

let world: World;
let own: RunnerRow;

beforeEach(async () => {
  world = new World();
  await world.start();
  own = await world.register('own-1');
});
afterEach(() => world.close());

const pledgeOne = async (): Promise<Job> =>
  (await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test')))[0] as Job;

const until = (state: string, runners: readonly RunnerId[] = [own.id]): Promise<Granted> => world.until(state, runners);

describe('a sector from Empty to Finished', () => {
  test('takes every event of the table once, in order', async () => {
    const job = await pledgeOne();
    await world.finish([own.id]);
    const done = await world.job(job.id);
    expect(done).toMatchObject({ state: 'Finished', number: 1, generation: 1, error: null, waiting: { for: 'nothing' } });
    const events = (await world.events(job.id)).filter(({ kind }) => kind === 'transition').map(({ event }) => event);
    expect(events).toEqual([
      'Allocate',
      'AcquireDeals',
      'AddPiece',
      'BuildTreeD',
      'AssignTicket',
      'PC1',
      'PC2',
      'SubmitPC',
      'CheckPC',
      'Persist',
      'SubmitPersistance',
      'AssignSeed',
      'C1',
      'C2',
      'SubmitProof',
      'Finish',
    ]);
  });

  test('frees its thread for the next one, and deletes what no state needs', async () => {
    const jobs = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 3 }, 'test'));
    await world.finish([own.id]);
    for (const [at, { id }] of jobs.entries())
      expect(await world.job(id)).toMatchObject({ state: 'Finished', number: at + 1, data: { artifacts: {} } });
  });

  test('skips numbers that the chain gave to somebody else', async () => {
    const job = await pledgeOne();
    const [effect] = await world.effects();
    expect(effect?.want).toEqual({ kind: 'number', miner: MINER, number: 1 });
    if (effect !== undefined) await world.perform(effect, { outcome: 'number', taken: true });
    await world.finish([own.id]);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished', number: 2 });
  });
});

describe('reports', () => {
  test('count once: a second is a duplicate, one of an old lease is lost', async () => {
    const job = await pledgeOne();
    const first = await until('DealsAcquired');
    await world.tick(60_000);
    const second = await until('DealsAcquired');
    expect(second.grant.epoch).toBe(first.grant.epoch + 1);
    const before = await world.job(job.id);
    expect(await world.report(own.id, world.honest(first))).toMatchObject({ status: 'lease_lost' });
    expect(await world.job(job.id)).toEqual(before);
    expect(await world.report(own.id, world.honest(second))).toMatchObject({ status: 'accepted' });
    const after = await world.job(job.id);
    expect(await world.report(own.id, world.honest(second))).toMatchObject({ status: 'duplicate' });
    expect(await world.job(job.id)).toEqual(after);
  });

  test('of another runner change nothing', async () => {
    await pledgeOne();
    const other = await world.register('own-2');
    const granted = await until('DealsAcquired');
    expect(await world.report(other.id, world.honest(granted))).toMatchObject({ status: 'unknown_attempt' });
  });

  test('with a file missing, twice or besides are refused by name', async () => {
    await pledgeOne();
    const granted = await until('TicketAssigned');
    const honest = world.honest(granted) as { outputs: { name: string }[] };
    expect(await world.report(own.id, { ...honest, outputs: honest.outputs.slice(1) })).toMatchObject({
      status: 'refused',
      message: expect.stringContaining('is missing'),
    });
  });

  test('a heartbeat keeps the lease, silence loses it, a new boot loses it at once', async () => {
    const job = await pledgeOne();
    const { grant } = await until('DealsAcquired');
    const beat = { bootId: own.bootId, attempts: [{ attempt: grant.attempt, epoch: grant.epoch, fraction: 0.5 }] };
    for (let at = 0; at < 5; at += 1) {
      await world.tick(15_000);
      expect(await world.run((ctx) => heartbeat(ctx, own, beat))).toMatchObject({ attempts: [{ order: 'continue' }] });
    }
    expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'stage' } });
    await world.run((ctx) => seen(ctx, own, 'boot-0002'));
    expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'runner', stage: 'AddPiece' } });
    expect(await world.run((ctx) => heartbeat(ctx, own, beat))).toMatchObject({ attempts: [{ order: 'cancel' }] });
  });

  test('a grant whose answer was lost is granted anew at once, one on its way is not', async () => {
    const job = await pledgeOne();
    await until('DealsAcquired');
    const unknown = () => world.run((ctx) => loseUnknown(ctx, ctx.tx.runner(own.id) as RunnerRow, new Set()));
    await unknown();
    expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'stage' } });
    await world.tick(8_000);
    await unknown();
    expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'runner', stage: 'AddPiece' } });
  });

  test('a control plane that was away extends the leases by its absence', async () => {
    const job = await pledgeOne();
    await world.tick(10_000);
    await until('DealsAcquired');
    world.nowMs += 300_000;
    await world.run((ctx) => restarted(ctx));
    await world.tick(5_000);
    expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'stage' } });
  });
});

describe('a rented runner that lies', () => {
  /** The rented runner alone does `stage`, and answers it with `changes`; afterwards a second own one does everything. */
  const bad = async (
    state: string,
    stage: Stage,
    changes: Record<string, unknown>,
  ): Promise<{ job: Job; rented: RunnerRow; others: RunnerId[] }> => {
    await world.run((ctx) => ctx.tx.updateRunner({ ...own, stages: Stage.options.filter((name) => name !== stage) }));
    const rented = await world.register('rented-1', 'rented', [stage]);
    const job = await pledgeOne();
    const granted = await until(state, [rented.id, own.id]);
    expect(granted.runner).toBe(rented.id);
    await world.report(rented.id, world.honest(granted, changes));
    const second = await world.register('own-2');
    return { job, rented, others: [own.id, second.id] };
  };

  test('with another CommD or a missing file is quarantined, and the sector finishes elsewhere', async () => {
    const other = { cid: 'baga-other', hex: 'f'.repeat(64) };
    const { job, rented, others } = await bad('PC1Done', 'PC2', { result: { commR: other, commD: other } });
    expect(await world.run((ctx) => ctx.tx.runner(rented.id))).toMatchObject({
      status: 'quarantined',
      reason: expect.stringContaining('CommD'),
    });
    await world.finish(others);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished', retries: 0 });
  });

  test('with a wrong CommR is found by the challenge before any message is signed', async () => {
    const { job, rented, others } = await bad('PC1Done', 'PC2', {
      result: { commR: { cid: 'bagboea-wrong', hex: 'e'.repeat(64) }, commD: COMM_D },
    });
    const granted = await until('PC2Done', others);
    expect(granted.grant.stage).toBe('C1');
    await world.report(granted.runner, world.failure(granted, 'input_invalid'));
    expect(await world.run((ctx) => ctx.tx.runner(rented.id))).toMatchObject({ status: 'quarantined' });
    expect(await world.job(job.id)).toMatchObject({ state: 'PC1Done', generation: 2 });
    expect((await world.run((ctx) => ctx.tx.effectsOfJob(job.id))).filter(({ want }) => want.kind === 'message')).toEqual([]);
    await world.finish(others);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
  });

  test('with a proof that does not verify costs itself, not the job', async () => {
    const { job, rented, others } = await bad('C1Done', 'C2', {});
    const check = await until('C1Done', others);
    expect(check.grant.stage).toBe('Verify');
    await world.report(check.runner, world.failure(check, 'proof_invalid'));
    expect(await world.run((ctx) => ctx.tx.runner(rented.id))).toMatchObject({ status: 'quarantined' });
    expect((await world.run((ctx) => ctx.tx.effectsOfJob(job.id))).filter(({ step }) => step === 'SubmitProof')).toEqual([]);
    await world.finish(others);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
  });
});

describe('pause, resume, abort', () => {
  test('a result that arrives while paused is kept, and taken on resume', async () => {
    const job = await pledgeOne();
    const granted = await until('TicketAssigned');
    await world.run((ctx) => pauseJob(ctx, job.id, {}, 'test'));
    expect(await world.report(own.id, world.honest(granted))).toMatchObject({ status: 'accepted' });
    expect(await world.job(job.id)).toMatchObject({ state: 'TicketAssigned', paused: true });
    expect(await world.run((ctx) => resumeJob(ctx, job.id, {}, 'test'))).toMatchObject({
      job: { state: 'PC1Done', paused: false },
      notice: null,
    });
    await world.finish([own.id]);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
  });

  test('resume is refused for unknown, later and running states, with the valid ones, and changes nothing', async () => {
    const job = await pledgeOne();
    await until('TicketAssigned');
    const before = await world.job(job.id);
    for (const [options, code] of [
      [{ state: 'Nonsense' }, 'unknown_state'],
      [{ state: 'C1Done' }, 'inputs_missing'],
      [{ state: 'TreeDBuilt' }, 'stage_running'],
      [{}, 'stage_running'],
    ] as const) {
      await expect(world.run((ctx) => resumeJob(ctx, job.id, options, 'test'))).rejects.toMatchObject({ code });
    }
    expect(await world.job(job.id)).toEqual(before);
  });

  test('TicketAssigned keeps the ticket, TreeDBuilt gets a fresh one', async () => {
    const job = await pledgeOne();
    await until('PC1Done');
    const { data } = await world.job(job.id);
    await world.run((ctx) => pauseJob(ctx, job.id, { now: true }, 'test'));
    expect((await world.run((ctx) => resumeJob(ctx, job.id, { state: 'TicketAssigned' }, 'test'))).job.data.ticket).toEqual(data.ticket);
    await world.run((ctx) => pauseJob(ctx, job.id, { now: true }, 'test'));
    const { job: back } = await world.run((ctx) => resumeJob(ctx, job.id, { state: 'TreeDBuilt' }, 'test'));
    expect(back).toMatchObject({ state: 'TreeDBuilt', generation: 3 });
    expect(back.data.ticket).toBeUndefined();
  });

  test('with a live pre-commit abort names the deposit and wants force; going back to TreeDBuilt is refused', async () => {
    const job = await pledgeOne();
    await until('PCLanded');
    await world.run((ctx) => pauseJob(ctx, job.id, { now: true }, 'test'));
    await expect(world.run((ctx) => abortJob(ctx, job.id, {}, 'test'))).rejects.toMatchObject({
      code: 'live_pre_commit',
      message: expect.stringContaining('1.5 FIL'),
    });
    await expect(world.run((ctx) => resumeJob(ctx, job.id, { state: 'TreeDBuilt' }, 'test'))).rejects.toMatchObject({
      code: 'live_pre_commit',
      message: expect.stringContaining('1.5 FIL'),
    });
    const { job: aborted } = await world.run((ctx) => resumeJob(ctx, job.id, { state: 'Abort', force: true }, 'test'));
    expect(aborted.state).toBe('Aborted');
    expect(Object.keys(aborted.data.artifacts)).toContain('sealed');
  });

  test('abort withdraws an unsigned message: it is never signed', async () => {
    const job = await pledgeOne();
    for (;;) {
      const message = (await world.effects()).find(({ want }) => want.kind === 'message');
      if (message !== undefined) {
        await world.run((ctx) => abortJob(ctx, job.id, {}, 'test'));
        await world.perform(message);
        expect((await world.run((ctx) => ctx.tx.effect(message.id)))?.signed).toBeNull();
        return;
      }
      for (const effect of await world.effects()) await world.perform(effect);
      for (const one of await world.grant(own.id)) await world.report(own.id, world.honest(one));
    }
  });

  test('a message whose nonce went to another one is dead: the job pauses, and resume signs a new try', async () => {
    const job = await pledgeOne();
    const message = async () => (await world.effects()).find(({ want }) => want.kind === 'message');
    while ((await message()) === undefined) {
      for (const effect of await world.effects()) await world.perform(effect);
      for (const one of await world.grant(own.id)) await world.report(own.id, world.honest(one));
    }
    const effect = await message();
    if (effect === undefined) throw new Error('there is no message');
    await world.run((ctx) => effectSigned(ctx, effect.id, { sender: 't3a', nonce: 0, cid: 'bafyfirst', signed: '{}', pushed: false }));
    await world.run((ctx) =>
      effectDone(ctx, effect.id, { outcome: 'error', category: 'temporary', code: 'node_away', message: 'the node is away' }),
    );
    expect(await world.job(job.id)).toMatchObject({ paused: false, data: { preCommit: { cid: 'bafyfirst' } } });
    await world.run((ctx) =>
      effectDone(ctx, effect.id, {
        outcome: 'error',
        category: 'permanent',
        code: 'nonce_taken',
        message: 'nonce 0 went to another message',
      }),
    );
    const paused = await world.job(job.id);
    expect(paused).toMatchObject({ state: 'PC2Done', paused: true, error: { code: 'nonce_taken' } });
    expect(paused.data.preCommit).toBeUndefined();
    await world.run((ctx) => resumeJob(ctx, job.id, {}, 'test'));
    await world.finish([own.id]);
    expect(await world.job(job.id)).toMatchObject({ state: 'Finished', data: { preCommit: { try: 2 } } });
  });

  test('explain says what is missing', async () => {
    await world.run((ctx) => ctx.tx.updateRunner({ ...own, stages: ['PC1'] }));
    const job = await pledgeOne();
    for (const effect of await world.effects()) await world.perform(effect);
    const said = await world.run((ctx) => explain(ctx, ctx.tx.job(job.id) as Job));
    expect(said.sentence).toContain('none that is registered fits');
    expect(said.candidates[0]?.why).toContain('does not do AddPiece');
  });
});
