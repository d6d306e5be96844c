/**
 * A failing disk under a real `sealpool serve`. Real: the process, its HTTP, SQLite, the files, read-only mounts, the
 * restart. Injected by strace: the error of the N-th fsync or write on the database and its log; some N are drawn here,
 * every N stands in test/soak. A disk that is really full stands in test/e2e/failures.test.ts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Daemon } from '../e2e/processes.ts';
import { ENVIRONMENT, hasStrace, preparedFolder, wholeDatabase } from './faulty-serve.ts';
import { callsOf, drawn, endsItself, faultAt, healsItself } from './sweep.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** Besides the first call, which opening makes. */
const DRAWN = 2;
const WITHIN_MS = 120_000;

let folder: string;
let prepared: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-faults-'));
  prepared = await preparedFolder(folder);
}, WITHIN_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.runIf(hasStrace)(`calls that fail, drawn by seed ${SEED}`, () => {
  const most: Record<string, number> = {};
  beforeAll(async () => {
    for (const calls of ['fsync,fdatasync', 'pwrite64']) most[calls] = await callsOf(folder, prepared, calls);
  }, WITHIN_MS);

  test.each([
    ['fsync,fdatasync', 'EIO'],
    ['pwrite64', 'EIO'],
    // The state of the file is unknown after a failed fsync, whatever the reason given.
    ['fsync,fdatasync', 'ENOSPC'],
  ])('%s with %s ends the process, and a restart finds every answered write', { timeout: WITHIN_MS }, async (calls, error) => {
    let ended = 0;
    for (const n of drawn(SEED, most[calls] as number, DRAWN)) {
      const { endedWith } = await faultAt(folder, prepared, { calls, error, when: String(n) }, endsItself);
      if (endedWith !== undefined) ended += 1;
    }
    expect(ended).toBeGreaterThan(0);
  });

  test('a disk that is full for three writes answers 503 and heals by itself', { timeout: WITHIN_MS }, async () => {
    for (const n of drawn(SEED, most['pwrite64'] as number, DRAWN)) {
      await faultAt(folder, prepared, { calls: 'pwrite64', error: 'ENOSPC', when: `${n}..${n + 2}` }, healsItself);
    }
  });
});

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
if (!canMount) console.warn('not root: nothing can be mounted read-only');

test.runIf(canMount).each([
  ['data folder', ''],
  ['database file', 'sealpool.sqlite'],
])('a read-only %s is refused with a sentence, and taken once it can be written', { timeout: WITHIN_MS }, async (_, name) => {
  const at = mkdtempSync(join(folder, 'read-only-'));
  const data = join(at, 'data');
  cpSync(prepared, data, { recursive: true });
  const target = join(data, name);
  const daemon = new Daemon(['serve', '--data', data], ENVIRONMENT, join(at, 'log'));
  onTestFinished(async () => void (await daemon.end('SIGKILL')));
  execFileSync('mount', ['--bind', target, target]);
  try {
    execFileSync('mount', ['-o', 'remount,ro,bind', target]);
    await expect(daemon.start()).rejects.toThrow(
      /sealpool failed: .*sealpool\.sqlite cannot be (opened|written).*; .*give this user the right to write/,
    );
    expect(await daemon.ended()).toBe(1);
  } finally {
    execFileSync('umount', [target]);
  }
  await daemon.start();
  expect(await daemon.end('SIGTERM')).toBe(0);
  wholeDatabase(join(data, 'sealpool.sqlite'));
});
