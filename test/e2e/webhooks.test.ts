/** A real control plane that is killed in the middle of deliveries: the receiver's set of ids is that of the events. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { type Receiver, receiver } from '../webhooks/receiver.ts';
import { seededRandom } from './killing.ts';
import { Daemon, MINER } from './processes.ts';

const KILLS = 6;
/** Each makes one event `sector.created`. */
const SECTORS = 40;

async function until(holds: () => boolean | Promise<boolean>, what: () => string, withinMs = 60_000): Promise<void> {
  const limit = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error(`it did not get there: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const idsOf = ({ received }: Receiver): string[] => received.map(({ headers }) => headers['webhook-id'] ?? '');

test('kill -9 in the middle of deliveries loses nothing', { timeout: 180_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'sealpool-hooks-'));
  // No chain answers: what is made stays, and makes no further events of this type.
  const daemon = new Daemon(['serve', '--data', data], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' }, join(data, 'log'));
  onTestFinished(async () => {
    await daemon.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  });
  const { url, tokenFile } = await daemon.start();
  const client = createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() });
  const random = seededRandom(11);
  // Slow enough that a kill meets deliveries under way.
  const there = await receiver((res) => void setTimeout(() => res.writeHead(204).end(), 20));
  const hanging = await receiver(() => undefined);
  const { id, secret } = await client.createWebhook({ url: there.url, types: ['sector.created'], allowPrivate: true });
  await client.createWebhook({ url: hanging.url, allowPrivate: true });
  let metUnderWay = 0;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await client.pledge({ plan: 'sealer', miner: MINER, count: SECTORS });
    const enough = (kill - 1) * SECTORS + 1 + Math.floor(random() * (SECTORS - 10));
    await until(
      () => new Set(idsOf(there)).size >= enough,
      () => `${there.received.length} of ${enough}`,
    );
    expect(await daemon.end('SIGKILL')).toBe('SIGKILL');
    if (new Set(idsOf(there)).size < kill * SECTORS) metUnderWay += 1;
    await daemon.start();
  }
  expect(metUnderWay).toBeGreaterThanOrEqual(KILLS / 2);
  await until(
    () => new Set(idsOf(there)).size >= KILLS * SECTORS,
    () => `${new Set(idsOf(there)).size} of ${KILLS * SECTORS}`,
  );
  const open = async () => (await client.deliveries(id, { limit: 500 })).items.filter(({ status }) => status !== 'done');
  await until(
    async () => (await open()).length === 0,
    () => 'some are open',
  );
  const seqs: number[] = [];
  for (let after = 0; ;) {
    const page = await client.events(after, 1_000);
    seqs.push(...page.items.filter(({ kind }) => kind === 'created').map(({ seq }) => seq));
    if (page.items.length < 1_000) break;
    ({ after } = page);
  }
  expect(seqs).toHaveLength(KILLS * SECTORS);
  expect([...new Set(idsOf(there))].sort()).toEqual(seqs.map((seq) => `ev-${seq}`).sort());
  // In the log each is once, however often it was sent.
  const messages = (await client.deliveries(id, { limit: 500 })).items.map(({ message }) => message);
  expect(messages.sort()).toEqual(seqs.map((seq) => `ev-${seq}`).sort());
  for (const { headers, body } of there.received)
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({ type: 'sector.created' });
  expect(readFileSync(join(data, 'log'), 'utf8')).not.toContain(secret);
});
