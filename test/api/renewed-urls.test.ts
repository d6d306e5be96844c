/** URLs that end before the transfer does: a heartbeat gets new ones, for the attempt's own objects and no other. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import { objectRoutes } from '../../src/objects/routes.ts';
import type { PieceId } from '../../src/schema/ids.ts';
import { manifestOf } from '../../src/schema/manifest.ts';
import type { Grant, HeartbeatAnswer, HeartbeatUrls, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

const TREE_D = 'cache/sc-02-data-tree-d.dat';
const ZERO_COMM_D = {
  cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy',
  hex: 'fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833',
};

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  runner = await world.runner();
});
afterEach(() => world.close());

const objects = () => objectRoutes(world.objects);
const local = (url: string): string => new URL(url).pathname + new URL(url).search;

/** Grants of a control plane whose URLs live so long. */
async function next(urlTtlMs: number, more: Record<string, unknown> = {}): Promise<NextAnswer> {
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  const app = createApp({ ...world.parts, settings: { ...world.settings, urlTtlMs } });
  const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0, ...more };
  const headers = { authorization: `Bearer ${runner.credential}`, 'content-type': 'application/json' };
  const answer = await app.request('/v1/runners/self/next', { method: 'POST', headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
  return (await answer.json()) as NextAnswer;
}

async function beat({ attempt, epoch }: Pick<Grant, 'attempt' | 'epoch'>, urls: HeartbeatUrls, credential = runner.credential) {
  const body = { bootId: BOOT, attempts: [{ attempt, epoch, urls }] };
  const { status, json } = await world.call('POST', '/v1/runners/self/heartbeat', { token: credential, body });
  expect(status).toBe(200);
  return (json as HeartbeatAnswer).attempts[0];
}

const done = ({ attempt, epoch }: Grant, outputs: unknown[] = [], result: Record<string, unknown> = {}) => ({
  outcome: 'done',
  attempt,
  epoch,
  outputs,
  result,
});

/** BuildTreeD of a CC sector, granted with URLs that live so long. */
async function treeD(urlTtlMs: number): Promise<{ grant: Grant; job: string }> {
  const [job] = (await world.pledge()) as [string];
  const [pieces] = (await next(urlTtlMs)).grants as [Grant];
  const added = { pieces: [{ cid: ZERO_COMM_D.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true }], commD: ZERO_COMM_D };
  await next(urlTtlMs, { reports: [done(pieces, [], added)], freeSlots: 0 });
  const [grant] = (await next(urlTtlMs)).grants as [Grant];
  expect(grant).toMatchObject({ stage: 'BuildTreeD', urlTtlMs });
  return { grant, job };
}

async function put(url: string, bytes: Buffer): Promise<Response> {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  const headers = { 'content-length': String(bytes.length), 'x-amz-checksum-crc32': sum.toString('base64') };
  return objects().request(local(url), { method: 'PUT', body: new Uint8Array(bytes), headers });
}

const WISH: HeartbeatUrls = { inputs: [], parts: [{ name: TREE_D, numbers: [1, 2, 10_000] }] };

test('a part URL that ran out is refused, the one of a heartbeat is taken, and the manifest goes with the artifact', async () => {
  const { grant, job } = await treeD(1);
  const bytes = Buffer.alloc(4064, 1);
  await expect.poll(async () => (await put(grant.outputs[0]?.partUrls[0] as string, bytes)).status).toBe(403);
  const answered = await beat(grant, WISH);
  // Of a file of one part, one.
  expect(answered).toMatchObject({ order: 'continue', urls: { inputs: [], parts: [{ name: TREE_D, part: 1 }] } });
  const sent = await put(answered?.urls?.parts[0]?.url as string, bytes);
  expect(sent.status).toBe(200);
  const manifest = manifestOf(grant.outputs[0]?.partSizeBytes as number, [crc32(bytes)]);
  const output = {
    name: TREE_D,
    sizeBytes: '4064',
    hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    parts: [{ number: 1, etag: sent.headers.get('etag') }],
    manifest,
  };
  const { reports } = await next(1, { reports: [done(grant, [output], { commD: ZERO_COMM_D })], freeSlots: 0 });
  expect(reports).toMatchObject([{ status: 'accepted' }]);
  const { json } = await world.call('GET', `/v1/sectors/${job}`, { token: world.admin });
  const { key } = (json as { job: { data: { artifacts: Record<string, { key: string }> } } }).job.data.artifacts[TREE_D] as { key: string };
  expect(await world.door.run(({ tx }) => tx.manifest(key))).toEqual(manifest);
  await world.call('POST', `/v1/sectors/${job}/abort`, { token: world.admin, body: { force: true } });
  expect(await world.door.run(({ tx }) => tx.manifest(key))).toBeUndefined();
});

test('an input is given anew as well, with its manifest', async () => {
  const bytes = Buffer.alloc(127, 7);
  const { hash } = await world.objects.put(
    'pieces/one',
    (async function* () {
      yield bytes;
    })(),
    127,
  );
  const manifest = manifestOf(2 ** 20, [crc32(bytes)]);
  await world.door.run(({ tx, nowMs }) => {
    tx.insertPiece({
      id: 'p-000000000000' as PieceId,
      miner: OURS,
      key: 'pieces/one',
      sizeBytes: '127',
      hash,
      paddedSizeBytes: '128',
      cid: null,
      job: null,
      reserved: false,
      createdMs: nowMs,
    });
    tx.putManifest('pieces/one', manifest);
  });
  await world.pledge();
  const [grant] = (await next(1)).grants as [Grant];
  expect(grant).toMatchObject({ stage: 'AddPiece', inputs: [{ hash, manifest }] });
  const [input] = grant.inputs as [Grant['inputs'][number]];
  await expect.poll(async () => (await objects().request(local(input.url))).status).toBe(403);
  const answered = await beat(grant, { inputs: [input.name, 'sealed'], parts: [] });
  expect(answered?.urls?.inputs.map(({ name }) => name)).toEqual([input.name]);
  const got = await objects().request(local(answered?.urls?.inputs[0]?.url as string));
  expect(Buffer.from(await got.arrayBuffer())).toEqual(bytes);
});

test('of what is not the attempt’s, or of an attempt that is over or another runner’s, there are none', async () => {
  const { grant, job } = await treeD(60_000);
  const outside = await beat(grant, { inputs: ['sealed'], parts: [{ name: 'sealed', numbers: [1] }] });
  expect(outside?.urls).toEqual({ inputs: [], parts: [] });
  const foreign = await world.runner('rented', 'foreign');
  const none = { attempt: 'a-000000000000' as Grant['attempt'], epoch: grant.epoch };
  const { attempt: _one, ...asNone } = (await beat(none, WISH, foreign.credential)) ?? {};
  const { attempt: _other, ...asForeign } = (await beat(grant, WISH, foreign.credential)) ?? {};
  expect(asForeign).toEqual(asNone);
  expect(asForeign).toMatchObject({ order: 'cancel' });
  expect(asForeign).not.toHaveProperty('urls');
  expect(await beat({ ...grant, epoch: grant.epoch + 1 }, WISH)).not.toHaveProperty('urls');
  await world.call('POST', `/v1/sectors/${job}/abort`, { token: world.admin, body: { force: true } });
  const over = await beat(grant, WISH);
  expect(over).toMatchObject({ order: 'cancel' });
  expect(over).not.toHaveProperty('urls');
});
