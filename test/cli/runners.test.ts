/** `sealpool runners …` against a real control plane. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { Deployment, ENTRY, cleanEnvironment } from '../e2e/processes.ts';

let deployment: Deployment;
let data: string;
beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-cli-'));
  deployment = await Deployment.start();
}, 60_000);
afterAll(async () => {
  await deployment.end();
  rmSync(data, { recursive: true, force: true });
});

function sealpool(...args: string[]) {
  const env = { ...cleanEnvironment(), SEALPOOL_URL: deployment.url, SEALPOOL_TOKEN: deployment.token };
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args, '--data', data], {
    env,
    encoding: 'utf8',
    timeout: 30_000,
  });
}

test('a token with labels and a time, a runner that joins with it, and what an operator does to it', { timeout: 120_000 }, async () => {
  const made = JSON.parse(sealpool('runners', 'token', '--trust', 'own', '--labels', 'gpu,eu', '--ttl', '10m', '--json').stdout);
  expect(made).toMatchObject({ trust: 'own', labels: ['gpu', 'eu'] });
  expect(Math.abs(made.expiresMs - Date.now() - 600_000)).toBeLessThan(60_000);
  expect(sealpool('runners', 'token', '--ttl', 'soon')).toMatchObject({ status: 2, stderr: expect.stringContaining('is no time') });
  const agent = createClient({ baseUrl: deployment.url });
  const resources = { cores: 1, ramBytes: 2 ** 30, diskFreeBytes: 2 ** 30, gpus: [] };
  const who = { token: made.token, name: 'evil\u001b[2J<img onerror=alert(1)>', bootId: 'boot-of-a-test', agentVersion: '0' };
  const { runnerId, credential } = await agent.register({ ...who, stages: ['AddPiece'], storage: [], resources });
  const list = sealpool('runners', 'list').stdout;
  expect(list).toContain('evil[2J<img onerror=alert(1)>');
  expect(list).not.toContain('\u001b');
  expect(sealpool('runners', 'logs', runnerId).stdout).toBe('it has had no stage yet\n');
  await deployment.pledge();
  const self = createClient({ baseUrl: deployment.url, token: credential });
  const ask = { bootId: 'boot-of-a-test', freeSlots: 1, running: [], reports: [], resources, waitMs: 20_000 };
  const { grants } = await self.next(ask);
  const { attempt = '' as never, epoch = 0 } = grants[0] ?? {};
  const logTail = 'first\u001b[31m line\nlast line\n';
  await self.heartbeat({ bootId: 'boot-of-a-test', attempts: [{ attempt, epoch, fraction: 0.25, note: 'running', logTail }] });
  const logs = sealpool('runners', 'logs', runnerId, '--limit', '5').stdout;
  expect(logs).toMatch(/^== AddPiece of s-t01000-\d+ \(a-\w+, lease epoch 1\): running, .*\n25 %, running\nfirst\[31m line\nlast line\n$/);
  expect(sealpool('runners', 'cordon', runnerId).stdout).toContain('cordoned');
  expect(sealpool('runners', 'uncordon', runnerId).stdout).toMatch(/ ready /);
  expect(sealpool('runners', 'drain', runnerId).stdout).toContain('draining');
  expect(sealpool('runners', 'ban', runnerId).stdout).toContain('banned');
  expect(sealpool('runners', 'uncordon', runnerId)).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/\(banned\).*join|register/),
  });
  expect(sealpool('runners', 'logs', 'r-000000000000')).toMatchObject({ status: 4, stderr: expect.stringContaining('not_found') });
});
