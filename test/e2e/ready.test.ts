/** `/readyz` of a real control plane whose node ends, whose disk fills up, and who is asked to end. */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Problem } from '../../src/schema/problem.ts';
import { Deployment } from './processes.ts';

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
if (!canMount) console.warn('not root: no disk can be filled');

let folder: string;
let deployment: Deployment | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-ready-'));
});
afterEach(async () => {
  await deployment?.end();
  deployment = undefined;
  spawnSync('umount', ['-l', join(folder, 'disk')]);
  rmSync(folder, { recursive: true, force: true });
});

type Answer = { readonly status: number; readonly failed: Record<string, string>; readonly text: string };

async function asked({ url }: Deployment): Promise<Answer> {
  const answer = await fetch(`${url}/readyz`);
  const text = await answer.text();
  const body = JSON.parse(text) as { ready?: boolean; checks?: unknown } & Partial<Problem>;
  const checks = (body.checks ?? body.extra?.['checks']) as { name: string; ok: boolean; detail: string }[];
  expect(checks.map(({ name }) => name)).toEqual(['database', 'chain', 'objects']);
  expect(body).toMatchObject(answer.status === 200 ? { ready: true } : { code: 'not_ready', status: 503 });
  return {
    status: answer.status,
    failed: Object.fromEntries(checks.filter(({ ok }) => !ok).map(({ name, detail }) => [name, detail])),
    text,
  };
}

async function until(of: Deployment, holds: (answer: Answer) => boolean): Promise<Answer> {
  const limitMs = Date.now() + 30_000;
  for (;;) {
    const answer = await asked(of);
    if (holds(answer)) return answer;
    if (Date.now() > limitMs) throw new Error(`it did not get there: ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test('a node that ends is named, and not its address; with it back all is well', { timeout: 90_000 }, async () => {
  deployment = await Deployment.start();
  expect(await asked(deployment)).toMatchObject({ status: 200, failed: {} });
  await deployment.chain.end('SIGKILL');
  const { failed, text } = await until(deployment, ({ status }) => status === 503);
  expect(failed).toEqual({ chain: 'it failed (rpc_unreachable)' });
  expect(text).not.toContain(new URL(deployment.chainUrl).port);
  expect((await fetch(`${deployment.url}/healthz`)).status).toBe(200);
  await deployment.chain.start();
  await until(deployment, ({ status }) => status === 200);
});

test.runIf(canMount)('a full disk: the database and the object store are named, and heal by themselves', { timeout: 90_000 }, async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', disk]);
  deployment = await Deployment.start({ dataDir: join(disk, 'data'), settings: { SEALPOOL_OBJECTS_MIN_FREE_BYTES: '65536' } });
  const filler = join(disk, 'filler');
  const fill = (): void => {
    for (let bytes = 2 ** 20; bytes >= 512; bytes /= 2) {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(bytes, 1));
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
      }
    }
  };
  fill();
  expect((await until(deployment, ({ failed }) => 'objects' in failed)).failed['objects']).toBe('it failed (storage_full)');
  // The log of the database has room of its own until it has to grow.
  const { failed } = await until(deployment, (answer) => {
    fill();
    return 'database' in answer.failed;
  });
  expect(failed).toMatchObject({ database: 'it failed (storage_full)', objects: 'it failed (storage_full)' });
  rmSync(filler);
  await until(deployment, ({ status }) => status === 200);
});
