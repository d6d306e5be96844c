/** An operator's hands on jobs: the six rules of resume, pause and abort. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDoor } from '../../src/api/door.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { COMM_D, COMM_R, TICKET, UPDATE_COMM_R } from './honest.ts';
import { wholeDatabase } from './whole-database.ts';
import { MINER, World } from './world.ts';

const EPOCH_MS = 30_000;
let world: World;
let own: RunnerId;

beforeEach(async () => {
  world = new World();
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

const one = async (): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  return (job as Job).id;
};

/** Goes on honestly until the message of this step is due. */
const untilMessage = async (step: string): Promise<EffectRow> => {
  for (let round = 0; round < 200; round += 1) {
    const due = await world.effects();
    const message = due.find((effect) => effect.step === step);
    if (message !== undefined) return message;
    for (const effect of due) await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    await world.tick(1_000);
  }
  throw new Error(`no ${step} was wanted`);
};

const signed = { sender: 't3a', nonce: 7, cid: 'bafysigned', signed: '{"Message":{"Value":"2500000000000000000"}}', pushed: false };
const sign = (effect: EffectRow) => world.run((ctx) => effectSigned(ctx, effect.id, signed));
const effectsOf = (id: Job['id']) => world.run((ctx) => ctx.tx.effectsOfJob(id));

test('of 50 resumes at once exactly one wins, with or without force; the others change nothing', async () => {
  const door = openDoor({ store: world.store, clock: { now: () => world.nowMs }, ids: world['idSource'], settings: world.settings });
  for (const options of [{}, { force: true }, { state: 'TreeDBuilt', force: true }]) {
    const id = await one();
    await world.until('PC1Done', [own]);
    await world.run((ctx) => pauseJob(ctx, id, { now: true }, 'test'));
    const answers = await Promise.allSettled(Array.from({ length: 50 }, () => door.run((ctx) => resumeJob(ctx, id, options, 'test'))));
    const refusals = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as SealpoolError] : []));
    expect(refusals.map(({ status }) => status)).toEqual(Array.from({ length: 49 }, () => 409));
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(['not_paused']));
    expect((await world.events(id)).filter(({ kind }) => kind === 'resumed')).toHaveLength(1);
    await world.finish([own]);
    expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  }
});

test('force stops a running stage, whose late answer is refused', async () => {
  const id = await one();
  const granted = await world.until('TicketAssigned', [own]);
  const before = wholeDatabase(world);
  await expect(world.run((ctx) => resumeJob(ctx, id, {}, 'test'))).rejects.toMatchObject({ code: 'stage_running', status: 409 });
  expect(wholeDatabase(world)).toBe(before);
  await world.run((ctx) => resumeJob(ctx, id, { force: true }, 'test'));
  expect(await world.report(own, world.honest(granted))).toMatchObject({ status: 'lease_lost' });
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('an operator who mended the cause starts the count anew', async () => {
  const id = await one();
  for (let at = 0; at < 3; at += 1) {
    const granted = await world.until('TicketAssigned', [own]);
    await world.report(own, world.failure(granted, 'input_differs', { input: 'cache/pc1-t_aux' }));
  }
  await world.run((ctx) => ctx.tx.updateJob({ ...(ctx.tx.job(id) as Job), retries: 9 }));
  await world.run((ctx) => pauseJob(ctx, id, { now: true }, 'test'));
  const { job } = await world.run((ctx) => resumeJob(ctx, id, { state: 'DealsAcquired' }, 'test'));
  expect(job.retries).toBe(0);
  expect(job.data.furthest).toBeUndefined();
});

describe('pause', () => {
  test('frees the place that was held for PC1, and is refused when there is nothing to stop', async () => {
    const id = await one();
    while ((await world.job(id)).reserved === null) {
      const [effect] = await world.effects();
      if (effect !== undefined) await world.perform(effect);
      for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    }
    expect(await world.run((ctx) => pauseJob(ctx, id, {}, 'test'))).toMatchObject({ reserved: null, paused: true });
    const before = wholeDatabase(world);
    for (const now of [false, true]) {
      await expect(world.run((ctx) => pauseJob(ctx, id, { now }, 'test'))).rejects.toMatchObject({ code: 'paused_already', status: 409 });
    }
    expect(wholeDatabase(world)).toBe(before);
    await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
    await world.finish([own]);
    expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  });
});

describe('a pre-commit that is signed', () => {
  test('is named with deposit and epochs; force goes back with its ticket, and the same CommR comes out', async () => {
    const id = await one();
    const message = await untilMessage('SubmitPC');
    expect(await sign(message)).toBe(true);
    const { ticket, commR } = (await world.job(id)).data;
    await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
    const before = wholeDatabase(world);
    for (const refused of [
      world.run((ctx) => resumeJob(ctx, id, { state: 'TreeDBuilt' }, 'test')),
      world.run((ctx) => abortJob(ctx, id, {}, 'test')),
      world.run((ctx) => resumeJob(ctx, id, { state: 'Abort' }, 'test')),
    ]) {
      await expect(refused).rejects.toMatchObject({
        code: 'live_pre_commit',
        message: expect.stringMatching(/bafysigned.*a deposit of 2\.5 FIL burns.*it has not landed yet and leaves 86550 epochs/),
      });
    }
    expect(wholeDatabase(world)).toBe(before);
    const { job, notice } = await world.run((ctx) => resumeJob(ctx, id, { state: 'DealsAcquired', force: true }, 'test'));
    expect(notice).toMatch(/pre-commit bafysigned \(nonce 7\) is out and cannot be called back/);
    expect(job.data).toMatchObject({ ticket, boundCommR: commR, preCommit: { cid: 'bafysigned' } });
    await world.finish([own]);
    expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { ticket, commR, preCommit: { cid: 'bafysigned' } } });
    const sent = (await effectsOf(id)).filter(({ step, signed: bytes }) => step === 'SubmitPC' && bytes !== null);
    expect(sent).toHaveLength(1);
  });

  test('that landed is named with the epochs that are left', async () => {
    const id = await one();
    await world.until('PCLanded', [own]);
    await world.run((ctx) => setHead(ctx, { epoch: 20_000, epochMs: EPOCH_MS }));
    await world.tick(10 * EPOCH_MS);
    const left = 10_900 + 86_550 - 20_010;
    await expect(world.run((ctx) => abortJob(ctx, id, {}, 'test'))).rejects.toMatchObject({
      message: expect.stringContaining(
        `1.5 FIL burns when the sector is not proven, ${left} epochs are left to rescue the sector, until epoch 97450`,
      ),
    });
  });

  test('another CommR than it names is never sent: the replica is made again', async () => {
    const id = await one();
    await sign(await untilMessage('SubmitPC'));
    await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
    await world.run((ctx) => resumeJob(ctx, id, { state: 'PC1Done', force: true }, 'test'));
    const granted = await world.until('PC1Done', [own]);
    const other = { cid: 'bagboea-other', hex: 'e'.repeat(64) };
    await world.report(own, world.honest(granted, { result: { commR: other, commD: (await world.job(id)).data.commD } }));
    expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', retries: 1, error: { code: 'bad_result' } });
    await world.finish([own]);
    expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  });
});

describe('abort', () => {
  test('with force names what is out, keeps the files until the pre-commit has expired, and signs nothing any more', async () => {
    const id = await one();
    await world.until('PCLanded', [own]);
    await world.run((ctx) => setHead(ctx, { epoch: 20_000, epochMs: EPOCH_MS }));
    const { job, notice } = await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
    expect(job).toMatchObject({ state: 'Aborted', waiting: { for: 'nothing' } });
    expect(notice).toMatch(/pre-commit bafy\S+ \(nonce 0\), landed at epoch 10900 is out and cannot be called back; no other message/);
    const keys = Object.values(job.data.artifacts).map(({ key }) => key);
    expect(keys.length).toBeGreaterThan(3);
    const kept = (await effectsOf(id)).filter(
      ({ want, status }) => want.kind === 'delete' && status === 'open' && want.keys.includes(keys[0] as string),
    );
    expect(kept).toHaveLength(1);
    expect(kept[0]).toMatchObject({ dueMs: world.nowMs + (10_900 + 86_550 - 20_000) * EPOCH_MS, want: { keys } });
    await world.finish([own]);
    expect(await world.job(id)).toMatchObject({ state: 'Aborted' });
  });

  test('between sign and push: the same bytes go on, nothing else, and the files stay from the push on', async () => {
    const id = await one();
    const message = await untilMessage('SubmitPC');
    await sign(message);
    const { notice } = await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
    expect(notice).toContain('bafysigned');
    // The performer looks once more before it pushes: these bytes and no others.
    expect(await sign(message)).toBe(true);
    expect(await world.run((ctx) => effectSigned(ctx, message.id, { ...signed, cid: 'bafyother', nonce: 8 }))).toBe(false);
    const due = async () => (await effectsOf(id)).find(({ step }) => step === 'DeleteKept')?.dueMs ?? 0;
    const before = await due();
    expect(before).toBeGreaterThanOrEqual(world.nowMs + 86_550 * EPOCH_MS);
    world.nowMs += 86_400_000;
    await world.run((ctx) => effectDone(ctx, message.id, { outcome: 'pushed' }));
    expect(await due()).toBe(before + 86_400_000);
    expect(await world.job(id)).toMatchObject({ state: 'Aborted' });
  });

  test('in each state before a message: whatever was begun outside comes to nothing, and no message is signed', async () => {
    for (const at of ['Empty', 'DealsAcquired', 'TreeDBuilt', 'TicketAssigned', 'PC1Done', 'PC2Done']) {
      const id = await one();
      while ((await world.job(id)).state !== at) {
        const [effect] = await world.effects();
        if (effect !== undefined) await world.perform(effect);
        else for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
      }
      const seen = await world.effects();
      const running = await world.grant(own);
      const { notice } = await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
      expect(notice).toBeNull();
      for (const effect of seen) await world.perform(effect);
      for (const granted of running) expect(await world.report(own, world.honest(granted))).toMatchObject({ status: 'lease_lost' });
      await world.finish([own]);
      expect(await world.job(id)).toMatchObject({ state: 'Aborted', data: { artifacts: {} } });
      expect((await effectsOf(id)).filter(({ signed: bytes }) => bytes !== null)).toEqual([]);
    }
  });

  test('while each later stage runs: force is needed, what is out is named, and nothing more is signed', async () => {
    for (const at of ['PCLanded', 'Persisted', 'SeedAssigned', 'C1Done']) {
      const id = await one();
      const granted = await world.until(at, [own]);
      await expect(world.run((ctx) => abortJob(ctx, id, {}, 'test'))).rejects.toMatchObject({ code: 'live_pre_commit' });
      const before = (await effectsOf(id)).filter(({ signed: bytes }) => bytes !== null).length;
      const { notice } = await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
      expect(notice, at).toContain((await world.job(id)).data.preCommit?.cid);
      expect(await world.report(own, world.honest(granted))).toMatchObject({ status: 'lease_lost' });
      await world.finish([own]);
      expect((await effectsOf(id)).filter(({ signed: bytes }) => bytes !== null)).toHaveLength(before);
      expect((await world.run((ctx) => ctx.tx.attemptsOfJob(id))).some(({ status }) => status === 'running')).toBe(false);
    }
  });

  test('of a snap whose message is out: the sector it becomes is named, and force keeps its files', async () => {
    world.close();
    world = new World({ threads: [{ worker: 'local', index: 0, plan: 'snapup', miner: null, auto: false }] });
    await world.start();
    own = (await world.register('own')).id;
    world.chain.proven(40);
    await world.run((ctx) =>
      ctx.tx.putSectorRecord({
        miner: MINER,
        number: 40,
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
      }),
    );
    const pieces = [await world.piece()];
    const [job] = await world.run((ctx) => pledge(ctx, { plan: 'snapup', miner: MINER, count: 1, sector: 40, pieces }, 'test'));
    const id = (job as Job).id;
    await sign(await untilMessage('SubmitUpdate'));
    const before = wholeDatabase(world);
    await expect(world.run((ctx) => abortJob(ctx, id, {}, 'test'))).rejects.toMatchObject({
      code: 'live_message',
      message: expect.stringMatching(/replica update bafysigned \(nonce 7\) is out: once it lands the chain has the upgraded sector 40/),
    });
    expect(wholeDatabase(world)).toBe(before);
    // Going back is no loss: the message stays the one, and the update has to be what it says.
    await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
    const { job: back } = await world.run((ctx) => resumeJob(ctx, id, { state: 'TreeDBuilt' }, 'test'));
    expect(back.data).toMatchObject({ boundCommR: UPDATE_COMM_R, replicaUpdate: { cid: 'bafysigned' } });
    const { job: aborted, notice } = await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
    expect(notice).toMatch(/replica update bafysigned .*its files are kept for 30 days/);
    expect((await effectsOf(id)).find(({ step }) => step === 'DeleteKept')?.dueMs).toBeGreaterThan(world.nowMs + 30 * 86_400_000);
    expect(aborted.state).toBe('Aborted');
  });

  test('by an error of the abort category keeps the files of a live pre-commit too, and the thread goes on', async () => {
    const id = await one();
    const wanted = await untilMessage('AssignSeed');
    await world.run((ctx) =>
      effectDone(ctx, wanted.id, {
        outcome: 'error',
        category: 'abort',
        code: 'sector_terminated',
        message: 'the sector was terminated; pledge another',
      }),
    );
    const job = await world.job(id);
    expect(job).toMatchObject({ state: 'Aborted', error: { code: 'sector_terminated' } });
    expect(Object.keys(job.data.artifacts)).toContain('sealed');
    expect((await effectsOf(id)).find(({ step }) => step === 'DeleteKept')?.dueMs).toBeGreaterThan(world.nowMs);
    // The thread went on to the next one by itself.
    const next = await one();
    expect(await world.job(next)).toMatchObject({ thread: 'local/0' });
  });
});
