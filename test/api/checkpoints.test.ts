/** Layers that are told of while PC1 goes on, over HTTP: made objects of at once, each answered by itself. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { objectRoutes } from '../../src/objects/routes.ts';
import type { JobId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { Checkpoint, Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

const ONE = 'cache/sc-02-data-layer-1.dat';
const COMM_D = {
  cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy',
  hex: 'fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833',
};

let world: ApiWorld;
let runner: RegisterAnswer;
let id: JobId;
let grant: Grant;

/** A PC1 that this runner has. */
beforeEach(async () => {
  world = await ApiWorld.open();
  world.app.route('/', objectRoutes(world.objects));
  runner = await world.runner('rented');
  [id] = (await world.pledge(OURS, 1)) as [JobId];
  await world.door.run((ctx) => {
    const job = ctx.tx.job(id) as Job;
    const layout = [{ cid: COMM_D.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true as const }];
    const data = { ...job.data, layout, commD: COMM_D, treeD: true, ticket: { value: '07'.repeat(32), epoch: 10_000 } };
    const waiting = { for: 'runner' as const, stage: 'PC1' as const, sinceMs: ctx.nowMs };
    ctx.tx.updateJob({ ...job, number: 1, state: 'TicketAssigned', waiting, data });
  });
  [grant] = (await next({ freeSlots: 1 })).grants as [Grant];
});
afterEach(() => world.close());

async function next(more: Record<string, unknown> = {}, { credential } = runner): Promise<NextAnswer> {
  const running = grant === undefined ? [] : [{ attempt: grant.attempt, epoch: grant.epoch }];
  const body = { bootId: BOOT, freeSlots: 0, running, reports: [], resources: RESOURCES, waitMs: 0, ...more };
  const { status, json, text } = await world.call('POST', '/v1/runners/self/next', { token: credential, body });
  expect(status, text).toBe(200);
  return json as NextAnswer;
}

/** Sends the first layer as an agent does. */
async function sent(bytes: Buffer): Promise<Checkpoint> {
  const slot = grant.outputs.find(({ name }) => name === ONE) as Grant['outputs'][number];
  return { attempt: grant.attempt, epoch: grant.epoch, output: await world.upload(slot, bytes) } as Checkpoint;
}

const told = async (checkpoint: Checkpoint, by = runner): Promise<string | undefined> =>
  (await next({ checkpoints: [checkpoint] }, by)).checkpoints?.[0]?.status;
const artifact = async () => (await world.door.run((ctx) => ctx.tx.job(id) as Job)).data.artifacts[ONE];

test('a layer becomes an object and an artifact while PC1 runs, once', async () => {
  expect(grant.outputs.map(({ name, early }) => [name, early])).toContainEqual([ONE, true]);
  const checkpoint = await sent(Buffer.alloc(2048, 3));
  expect(await told(checkpoint)).toBe('accepted');
  const kept = await artifact();
  expect(kept).toMatchObject({
    madeBy: runner.runnerId,
    hash: checkpoint.output.hash,
    key: grant.outputs.find(({ name }) => name === ONE)?.key,
  });
  expect(await world.objects.head(kept?.key as string)).toEqual({ sizeBytes: 2048 });
  expect(await told(checkpoint)).toBe('duplicate');
  expect((await world.door.run((ctx) => ctx.tx.attempt(grant.attempt)))?.status).toBe('running');
});

test('another runner cannot speak for it, nor can an older epoch', async () => {
  const checkpoint = await sent(Buffer.alloc(2048, 3));
  expect(await told(checkpoint, await world.runner('rented', 'another'))).toBe('unknown_attempt');
  expect(await told({ ...checkpoint, epoch: checkpoint.epoch + 1 })).toBe('lease_lost');
  expect(await artifact()).toBeUndefined();
});

test('while the object store is away it is asked for again; parts that were never sent are refused', async () => {
  const checkpoint = await sent(Buffer.alloc(2048, 3));
  const away = vi.spyOn(world.objects, 'completeUpload').mockRejectedValueOnce(new Error('it is away'));
  expect(await told(checkpoint)).toBe('retry_later');
  away.mockRestore();
  const wrong = { ...checkpoint, output: { ...checkpoint.output, parts: [{ number: 2, etag: 'none' }] } };
  expect(await told(wrong)).toBe('refused');
  expect(await artifact()).toBeUndefined();
  expect(await told(checkpoint)).toBe('accepted');
});
