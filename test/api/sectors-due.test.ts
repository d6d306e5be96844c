/** What the API says of time: the epoch it is, by when a message is due, and a stream of events that begins now. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setHead } from '../../src/scheduler/head.ts';
import { JobId } from '../../src/schema/ids.ts';
import { ApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const get = async (path: string) => (await world.call('GET', path, { token: world.admin })).json as Record<string, any>;

test('list and detail tell the epoch, which goes on with time, and the deadline of the ticket', async () => {
  const [job = ''] = await world.pledge();
  expect(await get('/v1/sectors')).toMatchObject({ epoch: null, items: [{ deadline: null }] });
  await world.door.run((ctx) => {
    setHead(ctx, { epoch: 5_000, epochMs: 30_000 });
    const row = ctx.tx.job(JobId.parse(job));
    if (row === undefined) throw new Error('the job is gone');
    ctx.tx.updateJob({ ...row, data: { ...row.data, ticket: { value: 'ab'.repeat(32), epoch: 4_100 } } });
  });
  world.nowMs += 90_000;
  const deadline = { of: 'pre_commit', epoch: 4_100 + 3_780 };
  expect(await get('/v1/sectors')).toMatchObject({ epoch: 5_003, items: [{ id: job, deadline }] });
  expect(await get(`/v1/sectors/${job}`)).toMatchObject({ epoch: 5_003, job: { deadline } });
});

test('after=now begins behind the newest event, as a page and as a stream', async () => {
  await world.pledge();
  const all = (await get('/v1/events')) as { items: { seq: number }[]; after: number };
  const now = await get('/v1/events?after=now');
  expect(now).toEqual({ items: [], after: all.after });
  const stream = await world.app.request('/v1/events?after=now', {
    headers: { authorization: `Bearer ${world.admin}`, accept: 'text/event-stream' },
  });
  await world.pledge();
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  expect(new TextDecoder().decode(value)).toContain(`"seq":${all.after + 1},`);
  expect((await world.call('GET', '/v1/events?after=soon', { token: world.admin })).status).toBe(400);
});
