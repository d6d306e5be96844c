/** A job that was given up while its message was out: the sector waits for what the chain makes of it, and its record follows. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectOutcome, EffectRow } from '../../src/scheduler/effects.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, TICKET, UPDATE_COMM_R } from './honest.ts';
import { MINER, World } from './world.ts';

const PLANS = ['sealer', 'snapup', 'snapup'] as const;
let world: World;
let own: RunnerId;

beforeEach(async () => {
  world = new World({ threads: PLANS.map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })) });
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

const ask: World['ask'] = (request) => world.ask(request);
const record: World['record'] = (number) => world.record(number);
const candidates = (): Promise<number[]> => world.run((ctx) => ctx.tx.snapCandidates(MINER, 0, 9).map(({ number }) => number));
const abort = (id: Job['id']) => world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
const effectsOf = (id: Job['id']): Promise<readonly EffectRow[]> => world.run((ctx) => ctx.tx.effectsOfJob(id));

const imported = async (number: number): Promise<void> => {
  const known: SectorRecord = {
    miner: MINER,
    number,
    sealProof: 'StackedDrg2KiBV1_1',
    ticket: TICKET,
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
  await world.run((ctx) => ctx.tx.putSectorRecord(known));
  world.chain.proven(number);
};

/** Goes on until the job wants this step outside, and answers that effect unperformed. */
const wanted = async (id: Job['id'], step: string): Promise<EffectRow> => {
  for (let round = 0; round < 300; round += 1) {
    const due = await world.effects();
    const found = due.find((effect) => effect.job === id && effect.step === step);
    if (found !== undefined) return found;
    for (const effect of due) await world.perform(effect);
    for (const one of await world.grant(own)) await world.report(own, world.honest(one));
    await world.tick(1_000);
  }
  throw new Error(`${step} was not wanted`);
};

const LANDED: EffectOutcome = { outcome: 'landed', epoch: 12_000, exitCode: 0, onChain: true, detail: '' };
const FAILED: EffectOutcome = { outcome: 'landed', epoch: 12_000, exitCode: 16, onChain: false, detail: 'deadline' };
const DEAD: EffectOutcome = { outcome: 'error', category: 'critical', code: 'nonce_taken', message: 'nonce 0 went to another message' };

/** A snap of sector 7 whose update is signed, given up before the node has it. */
const givenUp = async (): Promise<{ id: Job['id']; message: EffectRow }> => {
  await imported(7);
  const id = await ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] });
  const message = await wanted(id, 'SubmitUpdate');
  await world.sign(message);
  await abort(id);
  return { id, message };
};

const busy = async (id: Job['id']): Promise<void> => {
  expect(await candidates()).toEqual([]);
  await expect(ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] })).rejects.toMatchObject({
    code: 'sector_busy',
    message: expect.stringMatching(
      new RegExp(`job ${id} .*Aborted, and its replica update bafy\\S+ \\(nonce 0\\) is followed until .*ask for the snapup`),
    ),
  });
};

test('an update that is still being pushed keeps its sector from the next snap, until the chain has it: then the record says so', async () => {
  const { id, message } = await givenUp();
  await busy(id);
  // A job that asks for any sector finds none either.
  const other = await ask({ plan: 'snapup' });
  await world.tick(20_000);
  expect(await world.job(other)).toMatchObject({ number: null, error: { code: 'no_candidate' } });
  await world.perform(message);
  await busy(id);
  const before = await world.job(id);
  await world.perform(await wanted(id, 'FollowEnded'), LANDED);
  expect(await record(7)).toMatchObject({
    update: { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA },
    replicaUpdate: `bafy${message.id}`,
  });
  expect(await candidates()).toEqual([]);
  const after = await world.job(id);
  expect(after).toMatchObject({
    state: 'Aborted',
    generation: before.generation,
    paused: false,
    data: { replicaUpdate: { landedEpoch: 12_000 } },
  });
  expect((await effectsOf(id)).filter(({ signed }) => signed !== null)).toHaveLength(1);
  await expect(ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] })).rejects.toMatchObject({ code: 'not_cc' });
});

test.each([
  ['failed on the chain', FAILED],
  ['can never land', DEAD],
])('an update that %s frees the sector, and its piece goes into the next', async (_how, outcome) => {
  const { id, message } = await givenUp();
  const piece = (await world.job(id)).data.pieces[0]?.id;
  if (piece === undefined) throw new Error('the job has no piece');
  expect((await world.run((ctx) => ctx.tx.piece(piece)))?.job).toBe(id);
  await world.perform(message);
  await world.perform(await wanted(id, 'FollowEnded'), outcome);
  expect((await record(7))?.update).toBeNull();
  expect(await candidates()).toEqual([7]);
  const next = await ask({ plan: 'snapup', sector: 7, pieces: [piece] });
  await world.finish([own]);
  expect(await world.job(next)).toMatchObject({ state: 'Finished' });
});

test('an update whose nonce went to another message before its push frees the sector too', async () => {
  const { message } = await givenUp();
  await world.perform(message, DEAD);
  expect(await candidates()).toEqual([7]);
});

test('a node that gives no answer, or a strange one, frees nothing: it is asked again', async () => {
  const { id, message } = await givenUp();
  await world.perform(message);
  const follow = await wanted(id, 'FollowEnded');
  await world.perform(follow, {
    outcome: 'error',
    category: 'permanent',
    code: 'rpc_error',
    message: 'the node answered what nobody understands',
  });
  await busy(id);
  await world.tick(600_000);
  await world.perform(await wanted(id, 'FollowEnded'), LANDED);
  expect((await record(7))?.update?.commR).toEqual(UPDATE_COMM_R);
});

test('of an update that had been pushed before the job was given up nothing is sent again, and it is followed', async () => {
  await imported(7);
  const id = await ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] });
  await world.perform(await wanted(id, 'SubmitUpdate'));
  await wanted(id, 'CheckUpdate');
  await abort(id);
  await busy(id);
  await world.perform(await wanted(id, 'FollowEnded'), LANDED);
  expect((await record(7))?.update?.commR).toEqual(UPDATE_COMM_R);
});

test('a sector whose prove-commit lands after the job was given up is known, and can be snapped', async () => {
  const id = await ask({});
  await world.perform(await wanted(id, 'SubmitProof'));
  const { number } = await world.job(id);
  if (number === null) throw new Error('the job has no number');
  await abort(id);
  expect(await record(number)).toBeUndefined();
  await expect(ask({ plan: 'snapup', sector: number, pieces: [await world.piece()] })).rejects.toMatchObject({ code: 'sector_busy' });
  world.chain.proven(number);
  await world.perform(await wanted(id, 'FollowEnded'), LANDED);
  expect(await record(number)).toMatchObject({
    commR: COMM_R,
    ticket: TICKET,
    update: null,
    source: 'sealed',
    files: { storage: 'store' },
  });
  expect(await candidates()).toEqual([number]);
});
