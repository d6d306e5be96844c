/** What the chain may have of a sector that a restored database is behind with, case by case. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { abortJob, resumeJob } from '../../src/scheduler/operate.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from '../scheduler/honest.ts';
import { NOTHING, OTHER_COMM_R, OTHER_TICKET, OUR_COMM_R, RestoredWorld, preCommitted, proven } from './restored-world.ts';

let world: RestoredWorld;
beforeEach(async () => {
  world = new RestoredWorld();
  await world.start();
});
afterEach(() => world.close());

/** States in which a stage runs; the message is sent between PC2Done and PCLanded, and from C2Done on. */
const BEFORE_COMM_R = ['DealsAcquired', 'PieceAdded', 'TreeDBuilt', 'TicketAssigned', 'PC1Done'] as const;
const BEFORE_STORED = [...BEFORE_COMM_R, 'PC2Done', 'PCLanded'] as const;
const STORED = ['Persisted', 'SeedAssigned', 'C1Done'] as const;

const finished = async (id: Job['id']): Promise<Job> => {
  await world.finish([world.own]);
  const job = await world.job(id);
  expect(job.state, JSON.stringify(job.error)).toBe('Finished');
  return job;
};

test.each([...BEFORE_STORED, ...STORED].filter((state) => state !== 'TreeDBuilt'))(
  'nothing on chain: a job of %s goes on and sends what it had not',
  async (state) => {
    const { id } = await world.backedUpIn(state);
    await world.restore(NOTHING);
    await finished(id);
    const sends = state === 'PCLanded' || (STORED as readonly string[]).includes(state) ? ['SubmitProof'] : ['SubmitPC', 'SubmitProof'];
    expect(world.sent).toEqual(sends);
  },
);

test('our pre-commit is on chain and nobody here knows its message: the job goes on from it and sends none', async () => {
  const { id } = await world.backedUpIn('PC2Done');
  await world.restore(preCommitted());
  expect((await world.job(id)).data.preCommit).toMatchObject({ found: true, landedEpoch: 10_700, exitCode: 0 });
  await finished(id);
  expect(world.sent).toEqual(['SubmitProof']);
  // Records name messages that are known, and no other.
  const record = await world.run((ctx) => ctx.tx.sectorRecord('t01000' as Job['miner'], 1));
  expect(record).toMatchObject({ preCommit: null, commR: OUR_COMM_R });
});

/** A job whose pre-commit is signed and in its data, its effect open. */
async function signedPreCommit(): Promise<{ id: Job['id']; cid: string }> {
  const { id, running } = await world.backedUpIn('PC2Done');
  await world.report(world.own, world.honest(running));
  const verify = (await world.grant(world.own))[0];
  if (verify !== undefined) await world.report(world.own, world.honest(verify));
  const message = (await world.effects()).find(({ want }) => want.kind === 'message');
  if (message === undefined) throw new Error('no message was wanted');
  await world.perform(message, { outcome: 'error', category: 'temporary', code: 'node_away', message: 'away' });
  const cid = `bafy${message.id}`;
  await world.run((ctx) =>
    ctx.tx.updateEffect({ ...message, signed: { sender: 't3a', nonce: 0, cid, signed: '{}', pushed: false }, dueMs: ctx.nowMs }),
  );
  const job = await world.job(id);
  await world.run((ctx) => ctx.tx.updateJob({ ...job, data: { ...job.data, preCommit: { cid, nonce: 0, try: 1 } } }));
  return { id, cid };
}

test('our own signed message landed: it is followed by its name', async () => {
  const { id, cid } = await signedPreCommit();
  await world.restore({ ...preCommitted(), messages: [{ cid, epoch: 10_705, exitCode: 0 }] });
  expect((await world.job(id)).data.preCommit).toEqual({ cid, nonce: 0, try: 1, landedEpoch: 10_705, exitCode: 0 });
  await finished(id);
});

test('another message did the work of the one we signed: ours is called back, its dead nonce troubles nobody', async () => {
  const { id } = await signedPreCommit();
  const [open] = (await world.effects()).filter(({ want }) => want.kind === 'message');
  await world.restore({ ...preCommitted(), messages: [{ cid: (await world.job(id)).data.preCommit?.cid ?? '', epoch: 1, exitCode: 16 }] });
  expect((await world.job(id)).data.preCommit).toMatchObject({ found: true });
  const dead = { outcome: 'error', category: 'permanent', code: 'nonce_taken', message: 'gone' } as const;
  await world.run((ctx) => effectDone(ctx, (open as NonNullable<typeof open>).id, dead));
  await finished(id);
  expect(world.sent).toEqual(['SubmitProof']);
});

test.each(BEFORE_COMM_R)('a pre-commit on chain binds a job of %s: same ticket, same CommR, no second pre-commit', async (state) => {
  if (state === 'TreeDBuilt') {
    // Between the tree and PC1 no stage runs: the ticket is being drawn.
    await world.ask();
    await world.until('PieceAdded', [world.own]).then((running) => world.report(world.own, world.honest(running)));
  } else await world.backedUpIn(state);
  const { items } = await world.run((ctx) => ctx.tx.jobs({}, 1, null));
  const { id, generation } = items[0] as Job;
  expect(items[0]?.state).toBe(state);
  await world.restore(preCommitted({ ticket: OTHER_TICKET }));
  const bound = await world.job(id);
  expect(bound.data).toMatchObject({ ticket: OTHER_TICKET, boundCommR: OUR_COMM_R, preCommit: { found: true } });
  const wentBack = state === 'TicketAssigned' || state === 'PC1Done';
  expect(bound.generation).toBe(wentBack ? generation + 1 : generation);
  expect(bound.data.layers).toBeUndefined();
  await finished(id);
  expect(world.sent).toEqual(['SubmitProof']);
});

test('with the very ticket of the chain the layers stay', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.restore(preCommitted());
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 1, data: { layers: true, boundCommR: OUR_COMM_R } });
  await finished(id);
});

test('a bound PC2 that gives another CommR does not count', async () => {
  world.close();
  world = new RestoredWorld({ retry: { firstWaitMs: 1, maxWaitMs: 1, maxRetries: 2 } });
  await world.start();
  const { id } = await world.backedUpIn('TicketAssigned');
  await world.restore(preCommitted({ commR: OTHER_COMM_R.cid }));
  await world.finish([world.own]);
  const job = await world.job(id);
  expect(job).toMatchObject({ paused: true, error: { code: 'replica_differs', message: expect.stringContaining(OTHER_COMM_R.cid) } });
  expect(world.sent).toEqual([]);
});

test('the chain has another CommR, with another ticket: the replica of the chain is made', async () => {
  const { id } = await world.backedUpIn('PC2Done');
  await world.restore(preCommitted({ commR: OTHER_COMM_R.cid, ticket: OTHER_TICKET }));
  const job = await world.job(id);
  expect(job).toMatchObject({ state: 'TicketAssigned', generation: 2, paused: false });
  expect(job.data).toMatchObject({ ticket: OTHER_TICKET, boundCommR: OTHER_COMM_R });
  expect(job.data.commR).toBeUndefined();
});

const other: [string, ReturnType<typeof preCommitted>][] = [
  ['another CommR from the same ticket', preCommitted({ commR: OTHER_COMM_R.cid })],
  ['client data', preCommitted({ commD: 'baga6ea4seaqother' })],
  ['another seal proof', preCommitted({ sealProof: 8 })],
  ['another CommR, proven', proven({ commR: OTHER_COMM_R.cid })],
];

test.each(other)('the chain has %s: the job stops, and is compared again when it is resumed', async (_what, seen) => {
  const { id } = await world.backedUpIn('PC2Done');
  await world.restore(seen);
  expect(await world.job(id)).toMatchObject({ paused: true, error: { category: 'critical', code: 'chain_differs' } });
  await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
  expect(await world.grant(world.own)).toEqual([]);
  const again = await world.comparing();
  expect(again.map(({ job }) => job)).toEqual([id]);
  for (const effect of again) await world.perform(effect, seen);
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'chain_differs' } });
  expect(world.sent).toEqual([]);
});

test.each(BEFORE_STORED.filter((state) => state !== 'TreeDBuilt'))(
  'proven meanwhile, and a job of %s knows of no stored files: it stops for good',
  async (state) => {
    const { id } = await world.backedUpIn(state);
    await world.restore(proven());
    const job = await world.job(id);
    expect(job).toMatchObject({ paused: true, error: { category: 'permanent', code: 'proven_already' } });
    expect(job.error?.message).toMatch(/abort this job with force.*sector\.json.*sealpool import/);
    const abort = (force: boolean) => world.run((ctx) => abortJob(ctx, id, { force }, 'test'));
    await expect(abort(false)).rejects.toMatchObject({ code: 'live_pre_commit' });
    const deletes = async () => (await world.effects()).filter(({ want }) => want.kind === 'delete');
    const before = await deletes();
    await abort(true);
    expect(await deletes()).toEqual(before);
    expect(world.sent).toEqual([]);
  },
);

test.each([
  ['proven meanwhile', proven(), {}],
  ['another CommR, proven', proven({ commR: OTHER_COMM_R.cid }), { commR: OTHER_COMM_R }],
] as const)('%s: the sector is taken over in the way that the error tells', async (_what, seen, record) => {
  const { id } = await world.backedUpIn('PC2Done');
  await world.restore(seen);
  await world.doAsTold(id, record);
  expect(await world.record(1)).toMatchObject({ source: 'sealpool', ...record });
});

test.each(STORED)('proven meanwhile, and the files of a job of %s are stored: it ends by itself and sends nothing', async (state) => {
  const { id } = await world.backedUpIn(state);
  await world.restore(proven());
  const job = await finished(id);
  expect(job.data.proveCommit).toMatchObject({ found: true, exitCode: 0 });
  expect(job.data.storedChecked).toBe(true);
  expect(world.sent).toEqual([]);
});

test('proven and upgraded meanwhile: what is stored is not all there is', async () => {
  const { id } = await world.backedUpIn('SeedAssigned');
  await world.restore(proven({ commR: OTHER_COMM_R.cid, keyCommR: OUR_COMM_R.cid }));
  expect(await world.job(id)).toMatchObject({
    paused: true,
    error: { code: 'proven_already', message: expect.stringContaining('upgraded') },
  });
});

test('the chain gave the number out and has nothing of it: early on another number is taken, later somebody has to look', async () => {
  const { id } = await world.backedUpIn('DealsAcquired');
  await world.restore({ ...NOTHING, taken: true });
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'number_taken' } });
});

test('a job without work yet takes another number when the chain has given its own out', async () => {
  const id = await world.ask();
  expect(await world.job(id)).toMatchObject({ state: 'Empty', number: 1 });
  await world.restore({ ...NOTHING, taken: true });
  const job = await finished(id);
  expect(job.number).toBe(2);
  expect(job.data.ticket).toEqual(TICKET);
});

test('a pre-commit of the number of a job without work binds that job too', async () => {
  const id = await world.ask();
  await world.restore(preCommitted());
  const job = await finished(id);
  expect(job).toMatchObject({ number: 1, data: { preCommit: { found: true } } });
  expect(world.sent).toEqual(['SubmitProof']);
});

test('files that were deleted since are made again, from the earliest on; with nothing on chain under a ticket that stays', async () => {
  const { id } = await world.backedUpIn('PC2Done');
  await world.restore({ ...NOTHING, missing: ['sealed', 'p_aux'] });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2, paused: false, data: { ticket: TICKET } });
  await finished(id);
  expect(world.sent).toEqual(['SubmitPC', 'SubmitProof']);
});

test('files that were deleted since, of a sector that is pre-committed: the same replica is made', async () => {
  const { id } = await world.backedUpIn('PCLanded');
  const layer = Object.entries((await world.job(id)).data.artifacts).find(([, { madeIn }]) => madeIn === 'TicketAssigned')?.[0];
  await world.restore({ ...preCommitted(), missing: ['sealed', layer as string] });
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', data: { ticket: TICKET, boundCommR: OUR_COMM_R } });
  await finished(id);
  expect(world.sent).toEqual(['SubmitProof']);
});

test('a sector that only has to end needs none of its deleted files', async () => {
  const { id } = await world.backedUpIn('SeedAssigned');
  await world.restore({ ...proven(), missing: Object.keys((await world.job(id)).data.artifacts) });
  await finished(id);
});
