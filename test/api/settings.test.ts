/** `/v1/settings`: limits of all sealing_threads and of each worker, while everything runs. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NextAnswer } from '../../src/schema/runner.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const settings = (limits?: unknown) =>
  world.call(limits === undefined ? 'GET' : 'PATCH', '/v1/settings', {
    token: world.admin,
    ...(limits === undefined ? {} : { body: { limits } }),
  });

test('limits are kept, a worker may be named by its old address, null takes one back', async () => {
  expect((await settings()).json).toEqual({ limits: { all: { concurrent: {}, staggeredMs: {} }, workers: {} } });
  await settings({ all: { concurrent: { PC1: 2 }, staggeredMs: { PC1: 300_000 } } });
  await settings({ workers: { '10.0.0.7': { concurrent: { PC2: 1 } } } });
  const kept = {
    all: { concurrent: { PC1: 2 }, staggeredMs: { PC1: 300_000 } },
    workers: { ours: { concurrent: { PC2: 1 }, staggeredMs: {} } },
  };
  expect((await settings()).json).toEqual({ limits: kept });
  const after = await settings({ all: { staggeredMs: { PC1: null } }, workers: { ours: { concurrent: { PC2: null } } } });
  expect(after.json).toEqual({ limits: { all: { concurrent: { PC1: 2 }, staggeredMs: {} }, workers: {} } });
});

test.each([
  ['an unknown stage', { all: { concurrent: { PC9: 1 } } }, 400, 'unknown_stage', /stages are AddPiece, /],
  ['a negative number', { all: { concurrent: { PC1: -1 } } }, 400, 'bad_limit', /whole number from 0 on, or null/],
  [
    'an unknown worker',
    { workers: { nowhere: { concurrent: { PC1: 1 } } } },
    404,
    'not_found',
    /there is no worker nowhere; there are ours/,
  ],
  ['an unknown field', { all: { atOnce: { PC1: 1 } } }, 400, 'invalid_request', /atOnce/],
])('%s is refused, and the good part beside it with it', async (_what, bad, status, code, sentence) => {
  const answer = await settings({ all: { concurrent: { C2: 5 } }, ...bad });
  expect(answer).toMatchObject({ status, json: { code, detail: expect.stringMatching(sentence) } });
  expect((await settings()).json).toEqual({ limits: { all: { concurrent: {}, staggeredMs: {} }, workers: {} } });
});

test('a limit of none keeps a stage from every runner, and says so, until it is taken back', async () => {
  await settings({ all: { concurrent: { AddPiece: 0 } } });
  const [job] = await world.pledge();
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  const { credential } = await world.runner();
  const grants = async () => {
    const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
    const { json } = await world.call('POST', '/v1/runners/self/next', { token: credential, body });
    return (json as NextAnswer).grants.map(({ stage }) => stage);
  };
  expect(await grants()).toEqual([]);
  expect((await world.call('GET', `/v1/sectors/${job}/explain`, { token: world.admin })).json).toMatchObject({
    sentence: expect.stringMatching(/limit concurrent/),
  });
  await settings({ all: { concurrent: { AddPiece: null } } });
  expect(await grants()).toEqual(['AddPiece']);
});
