/** `sealpool webhooks …` against a real control plane and a real receiver. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Daemon, ENTRY, cleanEnvironment } from '../e2e/processes.ts';
import { answers, receiver } from '../webhooks/receiver.ts';

let data: string;
let daemon: Daemon;
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-cli-hooks-'));
  daemon = new Daemon(['serve', '--data', data], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' }, join(data, 'log'));
  await daemon.start();
}, 60_000);
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(data, { recursive: true, force: true });
});

/** Not in step: the receiver of this process has to answer meanwhile. */
async function webhooks(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const words = ['--disable-warning=ExperimentalWarning', ENTRY, 'webhooks', ...args, '--data', data];
  const child = spawn(process.execPath, words, { env: cleanEnvironment() });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => void (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => void (stderr += text.toString()));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, stdout, stderr };
}
const json = async (...args: string[]) => JSON.parse((await webhooks(...args, '--json')).stdout);

test('make, test, change, rotate, switch, read the log, send again, delete', { timeout: 120_000 }, async () => {
  const there = await receiver();
  const made = await webhooks('create', there.url, '--types', 'sector.created,audit', '--allow-private');
  const [secret = '', sentence = ''] = made.stdout.split('\n');
  expect(secret).toMatch(/^whsec_/);
  const id = /webhook (w-\S+);/.exec(sentence)?.[1] ?? '';
  const tested = await webhooks('test', id);
  expect(tested.stdout).toMatch(/test-\S+ +webhook\.test +done +1 +204/);
  const test_ = there.received.find(({ headers }) => headers['webhook-id']?.startsWith('test-'));
  expect(new Webhook(secret).verify(test_?.body ?? '', test_?.headers ?? {})).toMatchObject({
    type: 'webhook.test',
    data: { webhook: id },
  });
  expect(await json('update', id, '--types', 'all', '--description', 'ours', '--version', '1')).toMatchObject({ types: null, version: 2 });
  expect(await webhooks('update', id, '--description', 'x', '--version', '1')).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/changed_meanwhile.*read it again/),
  });
  expect(await json('update', id, '--to', `${there.url}?moved`)).toMatchObject({ url: `${there.url}?moved`, version: 3 });
  expect((await webhooks('rotate', id)).stdout).toMatch(/^whsec_/);
  expect(await json('disable', id)).toMatchObject({ status: 'disabled' });
  expect((await webhooks('list')).stdout).toMatch(new RegExp(`^${id} .*disabled +5 +- +operator:first-admin disabled it`, 'm'));
  expect(await json('enable', id)).toMatchObject({ status: 'enabled', reason: null });
  const shown = await webhooks('show', id);
  expect(shown.stdout).toContain(there.url);
  expect(shown.stdout).not.toMatch(/whsec_/);
  const { items, cursor } = await json('log', id, '--limit', '1');
  expect(items).toHaveLength(1);
  expect(cursor).toMatch(/^[0-9]+$/);
  const before = there.received.length;
  expect(await json('redeliver', id, items[0].id)).toMatchObject({ message: items[0].message, status: 'open' });
  await expect.poll(() => there.received.length).toBeGreaterThan(before);
  expect((await webhooks('delete', id)).stdout).toMatch(/is deleted/);
  expect((await webhooks('list')).stdout).toMatch(/no webhooks/);
});

test('a test that fails says why; what cannot be meant says how it is typed', { timeout: 60_000 }, async () => {
  const down = await receiver(answers(302, { location: 'http://169.254.169.254/' }));
  const { id } = await json('create', down.url, '--types', 'sector.note', '--allow-private');
  expect((await webhooks('test', id)).stdout).toMatch(/webhook\.test +failed +1 +302 .*redirects are not followed/);
  expect(await webhooks('create')).toMatchObject({ status: 2, stderr: expect.stringMatching(/webhooks create URL/) });
  expect(await webhooks('update', id)).toMatchObject({ status: 2, stderr: expect.stringMatching(/nothing is to be changed/) });
  expect(await webhooks('show', 'w-000000000000')).toMatchObject({ status: 4, stderr: expect.stringMatching(/there is no webhook/) });
});
