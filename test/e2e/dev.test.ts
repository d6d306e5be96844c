/** `sealpool dev`: three supervised processes that come back, and none that stays behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Client, createClient } from '../../src/api/client.ts';
import { ENTRY, REPLAY_PROVER, cleanEnvironment } from './processes.ts';

type DevReady = { url: string; tokenFile: string; chainUrl: string; storage: string; pids: Record<'devnet' | 'serve' | 'runner', number> };

let data: string;
let dev: ChildProcess;
let ready: DevReady;
let client: Client;
beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-dev-'));
  dev = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, 'dev', '--data', data, '--port', '0'], {
    env: { ...cleanEnvironment(), SEALPOOL_PROVER: REPLAY_PROVER, SEALPOOL_DEVNET_EPOCH_MS: '50' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const line = await new Promise<string>((resolve) =>
    createInterface({ input: dev.stdout as NodeJS.ReadableStream }).once('line', resolve),
  );
  ready = JSON.parse(line) as DevReady;
  client = createClient({ baseUrl: ready.url, token: readFileSync(ready.tokenFile, 'utf8').trim() });
}, 60_000);
afterEach(async () => {
  if (dev.exitCode === null && dev.signalCode === null) {
    const gone = new Promise((resolve) => dev.once('close', resolve));
    dev.kill('SIGTERM');
    await gone;
  }
  await until(() => running().length === 0);
  rmSync(data, { recursive: true, force: true });
}, 60_000);

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const running = (): number[] => Object.values(ready.pids).filter(alive);

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}

test('it serves with a token of mode 0600; SIGTERM ends all of it in order', { timeout: 60_000 }, async () => {
  expect(statSync(ready.tokenFile).mode & 0o777).toBe(0o600);
  expect(statSync(join(data, 'runner.join')).mode & 0o777).toBe(0o600);
  const plans = ['sealer', 'snapup', 'rebuild', 'unseal'].map((plan, index) => ({ index, plan }));
  expect((await client.workers()).items).toMatchObject([{ worker: 'local', threads: plans }]);
  expect((await client.runners()).items).toMatchObject([{ name: 'local', trust: 'own', status: 'ready' }]);
  expect(running()).toHaveLength(3);
  const gone = new Promise((resolve) => dev.once('close', resolve));
  dev.kill('SIGTERM');
  await gone;
  expect(dev.exitCode).toBe(0);
  expect(running()).toEqual([]);
});

test('a killed child comes back at the same address with nothing lost', { timeout: 60_000 }, async () => {
  const { items } = await client.pledge({ plan: 'sealer', miner: 't01000' as never, count: 1 });
  for (const name of ['serve', 'devnet', 'runner'] as const) process.kill(ready.pids[name], 'SIGKILL');
  await until(() =>
    client.sector(items[0]?.id ?? '').then(
      ({ attempts }) => attempts.some(({ status }) => status === 'done'),
      () => false,
    ),
  );
  expect((await fetch(`${ready.chainUrl}/messages`)).status).toBe(200);
  expect((await client.runners()).items).toHaveLength(1);
});

test('when the supervisor itself is killed, its children end', { timeout: 60_000 }, async () => {
  dev.kill('SIGKILL');
  await until(() => running().length === 0);
});
