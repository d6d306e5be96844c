/** Of a body nothing is read before it is known who sends it; what nobody known sends is bounded by address. */
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import { USUAL_RATES } from '../../src/api/buckets.ts';
import { MOST_BODIES } from '../../src/api/rate-limit.ts';
import { listen } from '../../src/main/http-server.ts';
import { ApiWorld } from './api-world.ts';

const JSON_BODY = { 'content-type': 'application/json' };
const [NO_TOKEN, NO_RUNNER] = [`sp-api-${'0'.repeat(64)}`, `sp-run-${'0'.repeat(64)}`];

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** A body that never comes, whose length nobody says; `asked` counts who wanted to read it. */
function unread(): { readonly body: ReadableStream<Uint8Array>; asked: number; end: () => void } {
  let end: () => void = () => undefined;
  const told = {
    asked: 0,
    end: () => end(),
    body: new ReadableStream<Uint8Array>(
      {
        start(controller) {
          end = () => controller.close();
        },
        pull() {
          told.asked += 1;
          return new Promise<void>(() => undefined);
        },
      },
      { highWaterMark: 0 },
    ),
  };
  return told;
}

test.each([
  ['an unknown token', '/v1/sectors/import', NO_TOKEN, 401],
  ['no token', '/v1/sectors', undefined, 401],
  ['an unknown credential', '/v1/runners/self/next', NO_RUNNER, 401],
  ['a role that is too low', '/v1/sectors', 'viewer', 403],
  ['a wrong method', '/v1/plans', 'viewer', 405],
  ['a route that takes none', '/v1/nothing', 'viewer', 404],
])('%s is refused before anything of the body is read', async (_what, path, secret, status) => {
  const token = secret === 'viewer' ? await world.token('viewer') : secret;
  const sent = unread();
  expect((await world.call('POST', path, { token, raw: sent.body, headers: JSON_BODY })).status).toBe(status);
  expect(sent.asked).toBe(0);
});

test('over a connection the refusal comes while the body goes on', async () => {
  const server = await listen(world.app.fetch, '127.0.0.1', 0);
  onTestFinished(() => server.close(0));
  const client = connect(server.port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  client.write(
    `POST /v1/sectors/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${NO_TOKEN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{},\r\n`,
  );
  const answer = await new Promise<Buffer>((resolve) => client.once('data', resolve));
  expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
});

test('a body that says that it is too large is refused unread', async () => {
  const sent = unread();
  const answer = await world.call('POST', '/v1/sectors', {
    token: world.admin,
    raw: sent.body,
    headers: { ...JSON_BODY, 'content-length': String(2 ** 20) },
  });
  expect(answer).toMatchObject({ status: 413, json: { code: 'too_large' } });
  expect(sent.asked).toBe(0);
});

test('of one address only so many bodies of nobody known come in at once; others are let in, and it is when one has ended', async () => {
  const app = createApp({
    ...world.parts,
    rateLimits: { rates: USUAL_RATES, now: () => world.nowMs, address: (c) => c.req.header('x-from') },
  });
  const join = (body: string | ReadableStream<Uint8Array>, from: string) =>
    app.request('/v1/runners/register', {
      method: 'POST',
      body,
      // A secret that nobody looks at is none.
      headers: { ...JSON_BODY, 'x-from': from, authorization: `Bearer ${NO_TOKEN}` },
      duplex: 'half',
    } as RequestInit);
  const sent = Array.from({ length: MOST_BODIES }, unread);
  const answers = sent.map(({ body }) => Promise.resolve(join(body, '192.0.2.1')));
  await expect.poll(() => sent.filter(({ asked }) => asked > 0).length).toBe(MOST_BODIES);
  const refused = await join('{}', '192.0.2.1');
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  expect(await refused.json()).toMatchObject({
    code: 'rate_limited',
    detail: expect.stringMatching(/bodies.*at once.*send it again in 1 s/),
  });
  expect((await join('{}', '192.0.2.2')).status).toBe(400);
  sent[0]?.end();
  expect((await answers[0])?.status).toBe(400);
  expect((await join('{}', '192.0.2.1')).status).toBe(400);
  for (const { end } of sent.slice(1)) end();
  await Promise.all(answers);
});
