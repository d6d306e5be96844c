/** `sealpool import` and `export` against a real control plane. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { Daemon, ENTRY, cleanEnvironment } from '../e2e/processes.ts';
import { RECORDS } from '../import/sectors.ts';

const FIXTURES = join(import.meta.dirname, '../import/fixtures');
let data: string;
let daemon: Daemon;

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-inventory-'));
  daemon = new Daemon(['serve', '--data', data], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' }, join(data, 'log'));
  await daemon.start();
}, 60_000);
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(data, { recursive: true, force: true });
});

const sealpool = (...args: string[]) =>
  spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args, '--data', data], {
    env: cleanEnvironment(),
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 64 * 2 ** 20,
  });
const file = (name: string): string => join(FIXTURES, name);
const records = (text: string): SectorRecord[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SectorRecord);

test('a dry run shows what would be taken and every problem, and sends nothing', { timeout: 60_000 }, () => {
  const { stdout, status } = sealpool('import', file('lotus-status.txt'), '--dry-run');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^2 sectors would be taken from lotus; nothing was sent\nsector +seal proof +ticket epoch +data/);
  expect(stdout).toMatch(/s-t01000-2014 +StackedDrg32GiBV1_1 +499357 +CC +- +- +bagboea4b5abca44sn4/);
  expect(stdout).toMatch(/Not taken from the file:\n +line 55 \(sector "8"\): it holds data, and this text lists no pieces/);
  expect(sealpool('export').stdout.trim()).toBe('');
});

test('what is imported is exported the same, imports again as known, and goes into a file of each form', { timeout: 120_000 }, () => {
  const first = sealpool('import', file('curio-copy.sql'), '--storage', 'store-1', '--root', '/mnt/store-1');
  expect(first.stdout).toMatch(/^3 sectors imported from curio, 0 known already, 0 refused, 0 problems in the file/);
  const files = { storage: 'store-1', root: '/mnt/store-1', files: null };
  expect(records(sealpool('export').stdout)).toEqual(RECORDS.map((record) => ({ ...record, files, source: 'curio' })));
  for (const format of ['json', 'csv', 'lotus', 'damocles']) {
    const path = join(data, `sectors.${format}`);
    expect(sealpool('export', '--format', format, '--out', path).stdout).toBe(`3 sectors written to ${path}\n`);
    const again = JSON.parse(sealpool('import', path, '--json').stdout) as Record<string, unknown>;
    expect(again).toMatchObject({ source: format === 'json' ? 'sealpool' : format, imported: 0, unchanged: 3, refused: [], problems: [] });
  }
  expect(sealpool('export', '--out', join(data, 'sectors.csv'))).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/sectors\.csv cannot be written \(EEXIST\); name a new file/),
  });
  expect(statSync(join(data, 'sectors.csv')).size).toBeGreaterThan(500);
});

test('refused sectors are told with the reason', { timeout: 60_000 }, () => {
  const path = join(data, 'others.jsonl');
  writeFileSync(path, readFileSync(file('sectors.jsonl'), 'utf8').replaceAll('t01000', 't04242'));
  const { stdout, status } = sealpool('import', path);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^0 sectors imported from sealpool, 0 known already, 3 refused/);
  expect(stdout).toMatch(
    /\nRefused:\n +s-t04242-7: miner t04242 is not configured here; add a \[\[miners\]\] with id = "t04242" and its seal_proof to/,
  );
});

test('what cannot be meant says how it is typed', { timeout: 120_000 }, () => {
  const nonsense = join(data, 'nonsense');
  writeFileSync(nonsense, '\u0000\u0001 what is this');
  for (const [args, reason] of [
    [['import', nonsense], /looks like none of lotus, damocles, curio, csv, sealpool; name its form with --from/],
    [['import', join(data, 'nowhere')], /cannot be read \(ENOENT\); name a file that can/],
    [['import', data], /cannot be read \(EISDIR\)/],
    [['import', nonsense, '--from', 'venus'], /--from is "venus"; it must be one of lotus,/],
    [['import', nonsense, '--miner', '1000'], /--miner is "1000"; a miner is written t01000/],
    [['import', nonsense, '--seal-proof', '8'], /--seal-proof is "8"; it must be one of StackedDrg2KiBV1_1/],
    [['import', nonsense, '--root', '/mnt'], /--root is the folder of a storage; name that as well/],
    [['export', '--format', 'xml'], /--format is "xml"; it must be one of json, csv, lotus, damocles/],
  ] as const) {
    expect(sealpool(...args)).toMatchObject({ status: 2, stderr: expect.stringMatching(reason) });
  }
});
