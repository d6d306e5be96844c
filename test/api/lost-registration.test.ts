/** An answer to a registration that never arrived is given again: to the process that sent it, until its runner speaks. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { hashSecret } from '../../src/api/secrets.ts';
import { listen } from '../../src/main/http-server.ts';
import { runAgent } from '../../src/runners/agent.ts';
import type { RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

async function newToken(): Promise<string> {
  const { json } = await world.call('POST', '/v1/runners/tokens', { token: world.admin, body: { trust: 'rented', ttlMs: 3_600_000 } });
  return (json as { token: string }).token;
}
async function register(token: string, change: object = {}) {
  const body = { token, name: 'x', bootId: BOOT, agentVersion: '0', stages: ['C2'], storage: [], resources: RESOURCES, ...change };
  const { status, json } = await world.call('POST', '/v1/runners/register', { body });
  return { status, answer: json as RegisterAnswer, code: (json as { code?: string }).code };
}
const beat = async (token: string): Promise<number> =>
  (await world.call('POST', '/v1/runners/self/heartbeat', { token, body: { bootId: BOOT, attempts: [] } })).status;
const next = async (token: string): Promise<number> => {
  const body = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
  return (await world.call('POST', '/v1/runners/self/next', { token, body })).status;
};
const runners = () => world.door.run((ctx) => ctx.tx.runners());

test('the same process is answered again: the same runner, a new credential, and the lost one is dead', async () => {
  const token = await newToken();
  const lost = await register(token);
  // The token ended meanwhile; it was used in time.
  world.nowMs += 3_600_001;
  const again = await register(token);
  expect(again).toMatchObject({ status: 200, answer: { runnerId: lost.answer.runnerId, labels: lost.answer.labels } });
  expect(await runners()).toHaveLength(1);
  expect([await beat(lost.answer.credential), await beat(again.answer.credential)]).toEqual([401, 200]);
  const rows = JSON.stringify(await runners());
  expect(rows).toContain(hashSecret(again.answer.credential));
  for (const secret of [token, lost.answer.credential, again.answer.credential]) expect(rows).not.toContain(secret);
});

test('once its runner has spoken a token is used up, however soon that was', async () => {
  for (const speak of [beat, next]) {
    const token = await newToken();
    const { answer } = await register(token);
    expect(await speak(answer.credential)).toBe(200);
    expect(await register(token)).toMatchObject({ status: 401, code: 'join_token' });
    world.nowMs += 10_000;
    expect(await register(token)).toMatchObject({ status: 401, code: 'join_token' });
    expect(await speak(answer.credential)).toBe(200);
  }
});

test('another process, another name, another token and a banned runner are refused, and what was answered stays good', async () => {
  const [token, other] = [await newToken(), await newToken()];
  const { answer } = await register(token);
  expect(await register(token, { bootId: 'boot-of-a-thief' })).toMatchObject({ status: 401, code: 'join_token' });
  expect(await register(token, { name: 'y' })).toMatchObject({ status: 401, code: 'join_token' });
  // With a token of its own it is another runner, whatever it says.
  expect((await register(other)).answer.runnerId).not.toBe(answer.runnerId);
  expect(await beat(answer.credential)).toBe(200);
  const third = await newToken();
  const { runnerId } = (await register(third)).answer;
  await world.call('POST', `/v1/runners/${runnerId}/ban`, { token: world.admin });
  expect(await register(third)).toMatchObject({ status: 401, code: 'join_token' });
});

test('an agent whose answer was lost asks again and works, as one runner', async () => {
  let lost = 0;
  const { port, close } = await listen(
    async (request: Request) => {
      const answer = await world.app.fetch(request);
      if (!request.url.endsWith('/register') || lost > 0) return answer;
      lost++;
      return new Response('the connection broke', { status: 502 });
    },
    '127.0.0.1',
    0,
  );
  onTestFinished(() => close(0));
  const folder = await mkdtemp(join(tmpdir(), 'lost-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const agent = await runAgent({
    url: `http://127.0.0.1:${port}`,
    joinToken: await newToken(),
    dataDir: join(folder, 'data'),
    prover: process.execPath,
    storage: [],
    slots: 1,
    name: 'lost',
    environment: process.env,
    log: () => undefined,
  });
  onTestFinished(() => agent.stop());
  await expect.poll(async () => (await runners()).map(({ slots }) => slots), { timeout: 10_000 }).toEqual([1]);
  expect([lost, (await runners())[0]?.id]).toEqual([1, agent.runnerId]);
});
