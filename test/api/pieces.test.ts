/** Pieces as they come in: under the miner that is configured, and as long as they were said to be. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiWorld, OURS } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** A body whose length nobody says, but `x-piece-size`. */
const streamed = (sizeBytes: number): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(sizeBytes).fill(1));
      controller.close();
    },
  });
const upload = (announced: string, sizeBytes: number, miner: string = OURS) =>
  world.call('POST', `/v1/pieces?miner=${miner}`, {
    token: world.admin,
    raw: streamed(sizeBytes),
    headers: { 'content-type': 'application/octet-stream', 'x-piece-size': announced },
  });
const list = (query: string, token = world.admin) => world.call('GET', `/v1/pieces?${query}`, { token });

test('f01000 is t01000 where that is configured: for the key, the row and the lists', async () => {
  const bound = await world.token('operator', [OURS]);
  const made = await upload('127', 127, 'f01000');
  expect(made).toMatchObject({ status: 200, json: { miner: OURS, sizeBytes: '127' } });
  expect(world.objectKeys()).toEqual([expect.stringMatching(/^pieces\/t01000\/p-/)]);
  for (const miner of ['f01000', 't01000']) expect((await list(`miner=${miner}`, bound)).json).toEqual({ items: [made.json] });
  const reserved = await world.call('POST', '/v1/pieces?miner=f01000&reserved=true', { token: bound, raw: new Uint8Array(127) });
  expect((await list('miner=f01000&reserved=true')).json).toEqual({ items: [reserved.json] });
  expect((await list('miner=f09999')).status).toBe(404);
});

test.each([
  ['shorter', 127],
  ['longer', 254],
])('a piece that is %s than it was announced is refused, and nothing of it stays', async (_what, sizeBytes) => {
  expect(await upload('200', sizeBytes)).toMatchObject({
    status: 400,
    json: { code: 'piece_size_differs', detail: expect.stringMatching(/200 bytes.*x-piece-size.*send/) },
  });
  expect((await list(`miner=${OURS}`)).json).toEqual({ items: [] });
  expect(world.objectKeys()).toEqual([]);
  expect((await upload(String(sizeBytes), sizeBytes)).status).toBe(200);
});

test('x-piece-size is checked beside a content-length too, and has to be a number', async () => {
  const raw = new Uint8Array(127);
  const said = (announced: string) =>
    world.call('POST', `/v1/pieces?miner=${OURS}`, {
      token: world.admin,
      raw,
      headers: { 'content-length': '127', 'x-piece-size': announced },
    });
  expect(await said('128')).toMatchObject({ status: 400, json: { code: 'piece_size_differs' } });
  for (const announced of ['many', '-1', '1.5'])
    expect(await said(announced)).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
  expect((await said('127')).status).toBe(200);
});
