/** A sector's whole life by the commands of docs/operating.md, as they are typed there, on real processes with the replay prover. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Deployment, ENTRY, cleanEnvironment } from '../e2e/processes.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await Deployment.start();
  await deployment.addRunner('first');
}, 60_000);
afterAll(() => deployment.end());

/** Runs `sealpool …` as typed; answers what it printed with --json. */
function typed(line: string): { id: string; items: { id: string; sector: string | null }[] } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ENTRY, ...line.split(' '), '--json'],
    {
      env: { ...cleanEnvironment(), SEALPOOL_DATA: join(deployment.folder, 'data') },
      cwd: deployment.folder,
      encoding: 'utf8',
      timeout: 30_000,
    },
  );
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** Queues a job and waits until it has finished. */
async function finished(line: string): Promise<void> {
  const [job] = typed(line).items;
  const { job: row } = await deployment.finished(job?.id as string, 60_000);
  expect(row.number).toBe(0);
}

test('sealed, snapped with a file, lost and rebuilt, unsealed, fetched: the same bytes', { timeout: 180_000 }, async () => {
  const bytes = Buffer.from(Array.from({ length: 2000 }, (_, at) => (at * 31) % 251));
  writeFileSync(join(deployment.folder, 'file'), bytes);
  await finished('sectors pledge --miner t01000');
  const piece = typed('pieces add file --miner t01000').id;
  await finished(`sectors snap s-t01000-0 --piece ${piece}`);
  for (const kind of ['sealed', 'cache', 'update', 'update-cache']) {
    rmSync(join(deployment.folder, 'storage', kind, 's-t01000-0'), { recursive: true });
  }
  const again = typed('pieces add file --miner t01000').id;
  await finished(`sectors rebuild s-t01000-0 --piece ${again}`);
  await finished('sectors unseal 0 --miner t01000 --offset 0 --size 2000');
  typed('sectors fetch s-t01000-0 --out back');
  expect(readFileSync(join(deployment.folder, 'back')).equals(bytes)).toBe(true);
});
