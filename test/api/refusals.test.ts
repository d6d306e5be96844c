/** What is refused, and how: problems as RFC 9457 with a code, a sentence and a request id; secrets never in log or answers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { redacted } from '../../src/schema/redacted.ts';
import { ApiWorld, OURS, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const admin = (method: string, path: string, more: Parameters<ApiWorld['call']>[2] = {}) =>
  world.call(method, path, { token: world.admin, ...more });

test.each([
  ['a body that is no JSON', 'POST', '/v1/sectors', '{', 400, 'malformed'],
  ['a body of another shape', 'POST', '/v1/sectors', '{"plan":"sealer","miner":"t01000","count":"many"}', 400, 'invalid_request'],
  ['an unknown field', 'POST', '/v1/sectors', '{"plan":"sealer","miner":"t01000","count":1,"colour":"red"}', 400, 'invalid_request'],
  ['no body at all', 'POST', '/v1/sectors', undefined, 400, 'invalid_request'],
  ['a plan that does not exist', 'POST', '/v1/sectors', '{"plan":"sealr","miner":"t01000","count":1}', 400, 'unknown_plan'],
  ['a miner that does not exist', 'POST', '/v1/sectors', '{"plan":"sealer","miner":"t09","count":1}', 404, 'not_found'],
  ['a sector that does not exist', 'GET', '/v1/sectors/s-t01000-77', undefined, 404, 'not_found'],
  ['a sector that is no name', 'GET', '/v1/sectors/seven', undefined, 400, 'invalid_request'],
  ['a route that does not exist', 'GET', '/v1/sector', undefined, 404, 'no_such_route'],
  ['a number too large', 'POST', '/v1/sectors', '{"plan":"sealer","miner":"t01000","count":1e9}', 400, 'invalid_request'],
  ['a body too large', 'POST', '/v1/sectors', `{"plan":"${'x'.repeat(300_000)}"}`, 413, 'too_large'],
  ['an empty piece', 'POST', '/v1/pieces?miner=t01000', '', 400, 'empty_piece'],
  ['a piece of no miner', 'POST', '/v1/pieces', 'bytes', 400, 'invalid_request'],
] as const)('%s', async (_what, method, path, raw, status, code) => {
  const answer = await admin(method, path, raw === undefined ? {} : { raw, headers: { 'content-type': 'application/json' } });
  expect(answer).toMatchObject({
    status,
    type: 'application/problem+json',
    json: { status, code, type: `urn:sealpool:problem:${code}`, detail: expect.stringMatching(/\w+.*;|\.$/) },
  });
  expect((answer.json as { requestId: string }).requestId).toBe(answer.headers.get('x-request-id'));
});

test('a runner that names a stage there is none of is refused with the field, and its token stays good', async () => {
  const { json } = await admin('POST', '/v1/runners/tokens', { body: { trust: 'own' } });
  const { token } = json as { token: string };
  const register = (stages: string[], bootId = 'boot-of-x') =>
    world.call('POST', '/v1/runners/register', {
      body: { token, name: 'x', bootId, agentVersion: '0', stages, storage: [], resources: RESOURCES },
    });
  expect(await register(['PC1', 'PC9'])).toMatchObject({
    status: 400,
    json: { code: 'invalid_request', detail: expect.stringMatching(/^stages\.1: .*"PC1"/) },
  });
  expect((await register(['PC1'])).status).toBe(200);
  expect((await register(['PC1'], 'boot-of-y')).status).toBe(401);
});

test('a refused action leaves the job as it was and says what stands against it', async () => {
  const [job] = (await world.pledge()) as [string];
  const before = (await admin('GET', `/v1/sectors/${job}`)).json as { job: unknown };
  for (const [body, status, code] of [
    [{ state: 'Nowhere' }, 400, 'unknown_state'],
    [{ state: 'PC2Done' }, 409, 'inputs_missing'],
    [{}, 409, 'not_paused'],
  ] as const) {
    expect(await admin('POST', `/v1/sectors/${job}/resume`, { body })).toMatchObject({ status, json: { code } });
  }
  expect(((await admin('GET', `/v1/sectors/${job}`)).json as { job: unknown }).job).toEqual(before.job);
});

test('Abort is taken wherever a state is, and shown as Aborted', async () => {
  // Two threads take such jobs, so the third one waits.
  const [job, , other] = (await world.pledge(OURS, 3)) as [string, string, string];
  expect(await admin('POST', `/v1/sectors/${job}/resume`, { body: { state: 'Abort' } })).toMatchObject({
    status: 200,
    json: { state: 'Aborted' },
  });
  const { items } = (await admin('GET', '/v1/sectors?state=Abort')).json as { items: { id: string }[] };
  expect(items.map(({ id }) => id)).toEqual([job]);
  // The free thread went on to the next one; that is given up through its thread.
  expect(await admin('POST', '/v1/workers/ours/threads/0/resume', { body: { state: 'Abort' } })).toMatchObject({
    status: 200,
    json: { id: other, state: 'Aborted' },
  });
});

test('a piece streamed without a length is cut off above the largest size, and nothing of it stays', async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
  });
  const answer = await admin('POST', '/v1/pieces?miner=t01000', { raw: endless });
  expect(answer).toMatchObject({ status: 413, json: { code: 'piece_too_large', extra: { largestBytes: 2032 } } });
  expect(sent).toBeLessThan(100_000);
  expect((await admin('GET', '/v1/pieces?miner=t01000')).json).toEqual({ items: [] });
});

test('the last admin token cannot be revoked; another one can, at once', async () => {
  const { json } = await admin('POST', '/v1/tokens', { body: { name: 'second', role: 'admin' } });
  const second = json as { id: string; token: string };
  const [first] = ((await admin('GET', '/v1/tokens')).json as { items: { id: string }[] }).items.filter(({ id }) => id !== second.id) as [
    { id: string },
  ];
  expect((await world.call('DELETE', `/v1/tokens/${first.id}`, { token: second.token })).status).toBe(200);
  expect((await admin('GET', '/v1/plans')).status).toBe(401);
  expect(await world.call('DELETE', `/v1/tokens/${second.id}`, { token: second.token })).toMatchObject({
    status: 409,
    json: { code: 'last_admin' },
  });
});

test('no secret is in the database, the log or a listing', async () => {
  const { json } = await admin('POST', '/v1/tokens', { body: { name: 'made', role: 'viewer' } });
  const secrets = [world.admin, (json as { token: string }).token, (await world.runner()).credential];
  await admin('GET', '/v1/plans');
  const kept =
    readFileSync(join(world.folder, 'sealpool.sqlite'), 'latin1') + readFileSync(join(world.folder, 'sealpool.sqlite-wal'), 'latin1');
  const shown = (await admin('GET', '/v1/tokens')).text + (await admin('GET', '/v1/runners')).text + world.log.join('');
  for (const secret of secrets) {
    expect(kept).not.toContain(secret);
    expect(shown).not.toContain(secret);
  }
  const line = redacted(`{"msg":"GET https://s3.test/b/k?X-Amz-Signature=abc&x=1","h":"Bearer ${world.admin}"}`);
  expect(line).toBe('{"msg":"GET https://s3.test/b/k?[query]","h":"Bearer [secret]"}');
});

test('events come as a stream that goes on after the last one seen', async () => {
  const [job] = (await world.pledge()) as [string];
  const { items } = (await admin('GET', '/v1/events')).json as { items: { seq: number }[] };
  const last = items.at(-1)?.seq as number;
  const response = await world.app.request('/v1/events', {
    headers: { authorization: `Bearer ${world.admin}`, accept: 'text/event-stream', 'last-event-id': String(last - 1) },
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  const firstChunk = (await reader.read()).value as string;
  expect(firstChunk).toContain(`id: ${last}\n`);
  await admin('POST', `/v1/sectors/${job}/pause`);
  let text = '';
  while (!text.includes('"kind":"paused"')) text += (await reader.read()).value;
  expect(text).toContain(`id: ${last + 1}\n`);
  await reader.cancel();
});
