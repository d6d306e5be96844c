/** Snapup, rebuild and unseal from Empty to Finished, and what may stand against them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeOver } from '../../src/scheduler/inventory.ts';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { JobEvent } from '../../src/schema/event.ts';
import type { Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, DATA_COMM_R, TICKET, UPDATE_COMM_R } from './honest.ts';
import { MINER, World } from './world.ts';

const PLANS = ['sealer', 'snapup', 'rebuild', 'unseal'] as const;
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

/** A committed-capacity sector that another system sealed. */
const imported = async (number: number, changes: Partial<SectorRecord> = {}): Promise<SectorRecord> => {
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
    ...changes,
  };
  await world.run((ctx) => ctx.tx.putSectorRecord(known));
  return known;
};

const states = (events: readonly JobEvent[]): string[] => events.flatMap(({ kind, to }) => (kind === 'transition' ? [to ?? ''] : []));

const finished = async (id: Job['id']): Promise<Job> => {
  await world.finish([own]);
  const job = await world.job(id);
  expect(job.state, JSON.stringify(job.error)).toBe('Finished');
  return job;
};

const stopped = async (id: Job['id']): Promise<Job> => {
  await world.finish([own], 40);
  return world.job(id);
};

describe('a whole life', () => {
  test('sealed, snapped, rebuilt, unsealed: each job leaves what the next one needs', async () => {
    const sealed = await finished(await ask({}));
    const number = sealed.number as number;
    expect(await record(number)).toMatchObject({ commR: COMM_R, ticket: TICKET, pieces: [], update: null, source: 'sealed' });

    const snap = await ask({ plan: 'snapup', sector: number, pieces: [await world.piece()] });
    const snapped = await finished(snap);
    expect(states(await world.events(snap))).toEqual([
      'Allocated',
      'PieceAdded',
      'TreeDBuilt',
      'SnapEncoded',
      'SnapProved',
      'Persisted',
      'Finished',
    ]);
    expect(snapped.data.replicaUpdate?.exitCode).toBe(0);
    const known = await record(number);
    expect(known?.update).toEqual({ commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA });
    const paths = known?.files?.files?.map(({ path }) => path) ?? [];
    expect(paths).toContain(`sealed/s-t01000-${number}`);
    expect(paths).toContain(`update/s-t01000-${number}`);
    expect(paths).toContain(`update-cache/s-t01000-${number}/p_aux`);
    expect(new Set(paths).size).toBe(paths.length);

    const again = await ask({ plan: 'rebuild', sector: number, pieces: [await world.piece()] });
    await finished(again);
    expect(states(await world.events(again))).toEqual([
      'Allocated',
      'PieceAdded',
      'TreeDBuilt',
      'PC1Done',
      'PC2Done',
      'SealedChecked',
      'SnapPieceAdded',
      'SnapTreeDBuilt',
      'SnapEncoded',
      'SnapDone',
      'Persisted',
      'Finished',
    ]);
    expect((await record(number))?.files?.files).toHaveLength(paths.length);

    const out = await finished(await ask({ plan: 'unseal', sector: number, range: { offsetBytes: '127', sizeBytes: '254' } }));
    expect(Object.keys(out.data.artifacts)).toEqual(['piece']);
    const { tx } = await world.run(({ tx }) => ({ tx: tx.effectsOfJob(out.id) }));
    const deleted = tx.flatMap(({ want }) => (want.kind === 'delete' ? want.keys : []));
    expect(deleted).not.toContain(out.data.artifacts['piece']?.key);
    expect(deleted.some((key) => key.endsWith('/sealed'))).toBe(true);
  });

  test('an imported CC sector whose ticket value nobody kept is rebuilt with the ticket of its epoch', async () => {
    await imported(40, { ticket: { epoch: TICKET.epoch, value: null }, files: null });
    world.chain.proven(40);
    const job = await finished(await ask({ plan: 'rebuild', sector: 40 }));
    expect(job.data.ticket).toEqual(TICKET);
    expect(states(await world.events(job.id))).toEqual(expect.arrayContaining(['SealedChecked', 'SnapDone', 'Persisted', 'Finished']));
    expect((await record(40))?.files?.storage).toBe('store');
  });

  test('a sector sealed with data is rebuilt from its pieces', async () => {
    await imported(41, { commD: DATA_COMM_D, commR: DATA_COMM_R, pieces: DATA, files: null });
    world.chain.proven(41, DATA_COMM_R.cid);
    const job = await finished(await ask({ plan: 'rebuild', sector: 41, pieces: [await world.piece()] }));
    expect(job.data.pieces[0]?.cid).toBe(DATA[0]?.cid);
    expect((await record(41))?.pieces).toEqual(DATA);
  });
});

describe('which sector is snapped', () => {
  test('without a number the next that fits: others are passed over', async () => {
    for (const number of [50, 51, 52, 53]) await imported(number);
    world.chain.proven(51, COMM_R.cid, UPDATE_COMM_R.cid);
    world.chain.sectors.set(52, { ...world.chain.proven(52), proven: false });
    world.chain.proven(53);
    await world.piece();
    const job = await finished(await ask({ plan: 'snapup' }));
    expect(job.number).toBe(53);
    const events = await world.events(job.id);
    expect(events.filter(({ kind }) => kind === 'note').map(({ detail }) => detail['passedOver'])).toEqual([50, 51, 52]);
  });

  test('a job that goes back takes the sector that it had, where there is no other', async () => {
    await imported(56);
    world.chain.proven(56);
    await world.piece();
    const id = await ask({ plan: 'snapup' });
    expect((await world.job(id)).number).toBe(56);
    await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
    await world.run((ctx) => resumeJob(ctx, id, { state: 'Empty', force: true }, 'test'));
    expect(await world.job(id)).toMatchObject({ number: 56, error: null });
    expect(await finished(id)).toMatchObject({ number: 56 });
  });

  test('those that never will fit are looked at once, until they are rebuilt; an unproven one each time', async () => {
    for (const number of [50, 51, 52, 53, 54]) await imported(number);
    world.chain.proven(51, UPDATE_COMM_R.cid, COMM_R.cid);
    world.chain.proven(52, DATA_COMM_R.cid);
    world.chain.sectors.set(53, { ...world.chain.proven(53), proven: false });
    world.chain.proven(54);
    const looked = async (id: Job['id']): Promise<unknown[]> =>
      (await world.events(id)).filter(({ kind }) => kind === 'note').map(({ detail }) => detail['passedOver']);
    await world.piece();
    const first = await finished(await ask({ plan: 'snapup' }));
    expect([first.number, await looked(first.id)]).toEqual([54, [50, 51, 52, 53]]);
    await world.piece();
    await imported(55);
    world.chain.proven(55);
    const second = await finished(await ask({ plan: 'snapup' }));
    expect([second.number, await looked(second.id)]).toEqual([55, [53]]);
    expect((await record(50))?.unfit).toMatch(/the chain has no sector 50/);
    world.chain.proven(50);
    await finished(await ask({ plan: 'rebuild', sector: 50 }));
    await world.piece();
    expect((await finished(await ask({ plan: 'snapup' }))).number).toBe(50);
  });

  test('a named one that is not proven is waited for, and that costs no retry', async () => {
    await imported(54);
    const sector = world.chain.proven(54);
    world.chain.sectors.set(54, { ...sector, proven: false });
    const id = await ask({ plan: 'snapup', sector: 54, pieces: [await world.piece()] });
    const waiting = await stopped(id);
    expect(waiting).toMatchObject({ state: 'Empty', paused: false, retries: 0, error: { code: 'sector_unproven' } });
    world.chain.sectors.set(54, sector);
    await finished(id);
  });

  test('one whose files differ from the record pauses with what to do', async () => {
    await imported(55);
    world.chain.proven(55);
    const id = await ask({ plan: 'snapup', sector: 55, pieces: [await world.piece()] });
    const publish = await world.until('TreeDBuilt', [own]);
    await world.report(own, world.failure(publish, 'input_invalid'));
    expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', paused: true, error: { code: 'sector_damaged' } });
  });

  test('a second job on a sector that is in hand is not taken', async () => {
    await imported(56);
    world.chain.proven(56);
    await ask({ plan: 'unseal', sector: 56 });
    await expect(ask({ plan: 'snapup', sector: 56, pieces: [await world.piece()] })).rejects.toMatchObject({ code: 'sector_busy' });
  });
});

describe('what a snap does when something fails', () => {
  const begun = async (number: number): Promise<Job['id']> => {
    await imported(number);
    world.chain.proven(number);
    return ask({ plan: 'snapup', sector: number, pieces: [await world.piece()] });
  };

  test('stored files that differ are stored again, and the message is sent once', async () => {
    const id = await begun(60);
    const check = await world.until('Persisted', [own]);
    await world.report(own, world.failure(check, 'input_invalid'));
    await finished(id);
    const events = await world.events(id);
    expect(events.filter(({ event }) => event === 'RePersist')).toHaveLength(1);
    expect(events.filter(({ kind }) => kind === 'message')).toHaveLength(1);
  });

  test('stored files that always differ end in a pause, not in a circle', async () => {
    const id = await begun(61);
    for (let round = 0; round < 400 && !(await world.job(id)).paused; round += 1) {
      for (const effect of await world.effects()) await world.perform(effect);
      for (const one of await world.grant(own)) {
        const check = (await world.job(id)).state === 'Persisted' && one.grant.stage === 'Verify';
        await world.report(own, check ? world.failure(one, 'input_invalid') : world.honest(one));
      }
      await world.tick(600_000);
    }
    expect(await world.job(id)).toMatchObject({ paused: true, state: 'Persisted', error: { code: 'stored_differs' } });
    expect((await world.events(id)).filter(({ kind }) => kind === 'message')).toHaveLength(0);
  });

  test('an update that failed on chain is sent again from Persisted', async () => {
    const id = await begun(62);
    for (let round = 0; round < 60; round += 1) {
      const landed = (await world.effects()).find(({ want }) => want.kind === 'landed');
      if (landed !== undefined) {
        await world.perform(landed, { outcome: 'landed', epoch: 9, exitCode: 16, onChain: false, detail: 'deadline' });
        break;
      }
      for (const effect of await world.effects()) await world.perform(effect);
      for (const one of await world.grant(own)) await world.report(own, world.honest(one));
      await world.tick(1_000);
    }
    const job = await finished(id);
    expect(job.data.replicaUpdate?.try).toBe(2);
    const sent = (await world.events(id)).filter(({ kind }) => kind === 'message');
    expect(sent).toHaveLength(2);
  });
});

describe('what a rebuild refuses', () => {
  test('a chain that has another CommR', async () => {
    await imported(70);
    world.chain.proven(70, DATA_COMM_R.cid);
    expect(await stopped(await ask({ plan: 'rebuild', sector: 70 }))).toMatchObject({
      state: 'Empty',
      paused: true,
      error: { code: 'chain_differs' },
    });
  });

  test('a chain that has another CommR: aborted, imported again and asked for again, as the error tells, it is made', async () => {
    const wrong = await imported(70);
    const right = { ...wrong, commD: null, commR: commitmentOfHex('sealed', COMM_R.hex) };
    world.chain.proven(70, right.commR.cid);
    const { id, error } = await stopped(await ask({ plan: 'rebuild', sector: 70 }));
    expect(error?.message).toMatch(/abort this job, import the sector again .*, then ask for it anew/);
    const again = () => world.run((ctx) => takeOver(ctx, [right], () => true));
    expect(await again()).toMatchObject({ imported: 0, refused: [{ sector: 's-t01000-70' }] });
    await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
    expect(await again()).toMatchObject({ imported: 1, refused: [] });
    const { state, error: other } = await stopped(await ask({ plan: 'rebuild', sector: 70 }));
    expect([state, other]).not.toEqual(['Empty', expect.anything()]);
  });

  test('a sector that the chain does not have, and one that nobody knows', async () => {
    await imported(71);
    expect(await stopped(await ask({ plan: 'rebuild', sector: 71 }))).toMatchObject({ paused: true, error: { code: 'not_on_chain' } });
    await expect(ask({ plan: 'rebuild', sector: 999 })).rejects.toMatchObject({ code: 'sector_unknown' });
  });

  test('other data than the sector holds, before PC1 spends hours on it', async () => {
    await imported(72, { commD: { cid: 'baga6ea4seaqother', hex: COMM_R.hex }, commR: DATA_COMM_R, pieces: DATA });
    world.chain.proven(72, DATA_COMM_R.cid);
    expect(await stopped(await ask({ plan: 'rebuild', sector: 72, pieces: [await world.piece()] }))).toMatchObject({
      state: 'Allocated',
      paused: true,
      error: { code: 'pieces_differ' },
    });
  });

  test('a replica with another CommR than the chain has is never stored', async () => {
    await imported(73);
    world.chain.proven(73);
    const id = await ask({ plan: 'rebuild', sector: 73 });
    for (let round = 0; round < 400 && !(await world.job(id)).paused; round += 1) {
      for (const effect of await world.effects()) await world.perform(effect);
      for (const one of await world.grant(own)) {
        const lie = one.grant.stage === 'PC2' ? { result: { commR: DATA_COMM_R, commD: COMM_D } } : {};
        await world.report(own, world.honest(one, lie));
      }
      await world.tick(600_000);
    }
    const job = await world.job(id);
    expect(job).toMatchObject({ paused: true, state: 'PC1Done', error: { code: 'replica_differs' } });
    expect(job.error?.message).toContain(COMM_R.cid);
    expect((await world.events(id)).some(({ detail }) => detail['stage'] === 'Persist')).toBe(false);
  });

  test('a sector that was upgraded while it was made: its files are not stored as those of one that was not', async () => {
    await imported(74);
    world.chain.proven(74);
    const id = await ask({ plan: 'rebuild', sector: 74 });
    await world.until('PC2Done', [own]).then((check) => world.report(own, world.honest(check)));
    world.chain.proven(74, UPDATE_COMM_R.cid, COMM_R.cid);
    const job = await stopped(id);
    expect(job).toMatchObject({ paused: true, state: 'PC2Done', error: { code: 'pieces_missing' } });
    expect(job.data.stored).toBeUndefined();
  });
});
