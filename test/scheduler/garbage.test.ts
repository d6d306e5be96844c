/** What is garbage, and what never is: attempts that run, files that jobs name, what is kept, what is not known. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reconcilingKey } from '../../src/scheduler/effects.ts';
import { collect, collectingHeld, judge } from '../../src/scheduler/garbage.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import type { ListedObject, ListedUpload } from '../../src/scheduler/ports.ts';
import type { CollectRules } from '../../src/schema/garbage.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { MINER, World } from './world.ts';

const HOUR_MS = 3_600_000;
const RULES: CollectRules = { graceMs: HOUR_MS, uploadAgeMs: 24 * HOUR_MS, unknown: false };

let world: World;
let own: RunnerId;
beforeEach(async () => {
  world = new World({}, { sql: '', nowMs: 1_800_000_000_000, ids: 0, nonce: 0 });
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

const object = (key: string, ageMs = 2 * HOUR_MS): ListedObject => ({ key, sizeBytes: 7, madeMs: world.nowMs - ageMs });
const upload = (key: string, ageMs: number): ListedUpload => ({ key, uploadId: `of ${key}`, sizeBytes: 3, begunMs: world.nowMs - ageMs });
const judged = async (objects: ListedObject[], uploads: ListedUpload[] = [], rules = RULES): Promise<string[]> =>
  (await world.run((ctx) => judge(ctx, { objects, uploads }, rules))).map(({ what, key, reason }) => `${what} ${key}: ${reason}`);
const deletions = async () =>
  (await world.effects()).flatMap(({ want, step }) => (want.kind === 'delete' && step === 'Collect' ? [want] : []));
const end = async (grant: Awaited<ReturnType<World['until']>>): Promise<void> =>
  world.run((ctx) => {
    const attempt = ctx.tx.attempt(grant.grant.attempt);
    if (attempt !== undefined) ctx.tx.updateAttempt({ ...attempt, status: 'lost', endedMs: ctx.nowMs });
  });

test('what a running attempt may make is not, until it has ended; whatever its age', async () => {
  await world.ask();
  const pc1 = await world.until('TicketAssigned', [own]);
  const keys = pc1.grant.outputs.map(({ key }) => key);
  const old = 30 * 24 * HOUR_MS;
  expect(
    await judged(
      keys.map((key) => object(key, old)),
      keys.map((key) => upload(key, old)),
    ),
  ).toEqual([]);
  await end(pc1);
  const [key = ''] = keys;
  expect(await judged([object(key)], [upload(key, 2 * HOUR_MS)])).toEqual([`object ${key}: attempt_ended`, `upload ${key}: attempt_ended`]);
  expect(await judged([object(key, HOUR_MS - 1)], [upload(key, HOUR_MS - 1)])).toEqual([]);
});

test('what a job names is not, while it goes on; after a forced abort not until its effect has deleted it', async () => {
  const id = await world.ask();
  await world.until('PCLanded', [own]);
  const job = await world.run((ctx) => ctx.tx.job(id));
  const keys = Object.values(job?.data.artifacts ?? {}).map(({ key }) => key);
  expect(keys.length).toBeGreaterThan(3);
  expect(await judged(keys.map((key) => object(key)))).toEqual([]);
  await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
  expect(await judged(keys.map((key) => object(key)))).toEqual([]);
  await world.run((ctx) => {
    for (const effect of ctx.tx.openEffectsOfJob(id)) if (effect.want.kind === 'delete') ctx.tx.updateEffect({ ...effect, status: 'done' });
  });
  expect(await judged(keys.map((key) => object(key)))).toEqual(keys.map((key) => `object ${key}: attempt_ended`));
});

test('an upload that was opened twice goes once its attempt has ended, and the object that came of the other one stays', async () => {
  const id = await world.ask();
  const pc1 = await world.until('TicketAssigned', [own]);
  const key = pc1.grant.outputs[0]?.key ?? '';
  expect(await judged([], [upload(key, 25 * HOUR_MS)])).toEqual([]);
  await world.report(own, world.honest(pc1));
  expect(Object.values((await world.job(id)).data.artifacts).map((artifact) => artifact.key)).toContain(key);
  expect(await judged([object(key)], [upload(key, 25 * HOUR_MS)])).toEqual([`upload ${key}: attempt_ended`]);
  await world.run((ctx) => collect(ctx, { objects: [], uploads: [upload(key, 25 * HOUR_MS)] }, RULES));
  expect((await deletions()).map(({ keys, uploads }) => [keys, uploads?.length])).toEqual([[[], 1]]);
  expect(await judged([object(key)], [upload(key, 25 * HOUR_MS)])).toEqual([]);
});

test('what waits to be deleted by itself is not told of again', async () => {
  const id = await world.ask();
  const pc1 = await world.until('TicketAssigned', [own]);
  const keys = pc1.grant.outputs.map(({ key }) => key);
  await end(pc1);
  const listed = { objects: keys.map((key) => object(key)), uploads: [] };
  for (const key of keys) await world.run((ctx) => ctx.tx.putManifest(key, { partSizeBytes: 2048, crc32: '00000000' }));
  const first = await world.run((ctx) => collect(ctx, listed, RULES));
  expect(await world.run((ctx) => keys.map((key) => ctx.tx.manifest(key)))).toEqual(keys.map(() => undefined));
  expect(first.map(({ key, job }) => [key, job])).toEqual(keys.map((key) => [key, id]));
  expect(await judged(listed.objects)).toEqual([]);
  expect(await world.run((ctx) => collect(ctx, listed, RULES))).toEqual([]);
  expect((await deletions()).map((want) => want.keys)).toEqual([keys]);
});

test('pieces: one that waits or that a job has is not, one that nobody knows is unknown', async () => {
  const piece = await world.piece();
  const key = await world.run((ctx) => ctx.tx.piece(piece)?.key ?? '');
  expect(await judged([object(key)])).toEqual([]);
  await world.ask();
  await world.until('PieceAdded', [own]).catch(() => undefined);
  expect(await judged([object(key), object(`pieces/${MINER}/p-99999999`)])).toEqual([`object pieces/${MINER}/p-99999999: unknown`]);
  // Its sender has no answer, so nobody misses it; of another miner it may be another control plane's.
  const [ours, theirs] = [`pieces/${MINER}/p-99999998`, 'pieces/t09999/p-99999998'];
  expect(await judged([], [upload(ours, 23 * HOUR_MS), upload(theirs, 23 * HOUR_MS)])).toEqual([]);
  expect(await judged([], [upload(ours, 25 * HOUR_MS), upload(theirs, 25 * HOUR_MS)])).toEqual([
    `upload ${ours}: unfinished`,
    `upload ${theirs}: unknown`,
  ]);
});

test('what this database knows nothing of goes only when that is asked for', async () => {
  const objects = [object('jobs/j-99999999/a-99999999/sealed'), object('somebody/elses'), object('plain')];
  for (const odd of ['jobs', 'jobs/j-1', 'pieces', 'pieces/x', 'probes', 'pieces/t01000/p-1/more']) objects.push(object(odd));
  expect(await judged(objects)).toEqual(objects.map(({ key }) => `object ${key}: unknown`));
  await world.run((ctx) => collect(ctx, { objects, uploads: [] }, RULES));
  expect(await deletions()).toEqual([]);
  await world.run((ctx) => collect(ctx, { objects, uploads: [] }, { ...RULES, unknown: true }));
  expect((await deletions()).map(({ keys }) => keys)).toEqual([objects.map(({ key }) => key)]);
});

test('probes: the one that every runner fetches stays, what a crash left of the others goes', async () => {
  expect(await judged([object('probes/down-8388608'), object('probes/0123')], [upload('probes/up-1', 25 * HOUR_MS)])).toEqual([
    'object probes/0123: probe',
    'upload probes/up-1: probe',
  ]);
});

test('after a restore nothing goes before the jobs were compared with the chain', async () => {
  const objects = [object('probes/0123')];
  await world.run((ctx) => ctx.tx.setMeta(reconcilingKey(MINER), 'e-1'));
  expect(await world.run(collectingHeld)).toBe(true);
  await world.run((ctx) => collect(ctx, { objects, uploads: [] }, RULES));
  expect(await deletions()).toEqual([]);
  await world.run((ctx) => ctx.tx.setMeta(reconcilingKey(MINER), ''));
  await world.run((ctx) => collect(ctx, { objects, uploads: [] }, RULES));
  expect((await deletions()).map(({ keys }) => keys)).toEqual([['probes/0123']]);
});
