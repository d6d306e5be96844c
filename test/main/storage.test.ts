/** Buckets of miner storage in the configuration: what is refused at the start, and that keys come from files alone. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/main/config.ts';
import { storageOf } from '../../src/main/storage.ts';
import { bucketOf } from '../../src/schema/miner-storage.ts';
import { ENTRY, cleanEnvironment } from '../e2e/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'storage-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const keyFile = join(folder, 'key');
writeFileSync(keyFile, 'a-secret-of-the-test\n', { mode: 0o600 });
const s3 = (file = keyFile) => ({ endpoint: 'http://127.0.0.1:9', access_key_file: file, secret_key_file: file });
const storage = (entry: object) =>
  storageOf(loadConfig({ flags: { data: folder, 'runner.storage': [{ id: 'cold', ...entry }] }, env: {} }));

test('a bucket keeps its path, a folder becomes absolute', () => {
  const [cold] = storage({ path: 's3://sectors/miner', s3: s3(), max_bytes: 5, weight: 2 });
  expect(cold).toMatchObject({ id: 'cold', path: 's3://sectors/miner', maxBytes: 5, weight: 2 });
  expect(cold?.bucket).toBeDefined();
  expect(JSON.stringify(cold)).not.toContain('a-secret-of-the-test');
  expect(storage({ path: 'here' })).toMatchObject([{ path: join(process.cwd(), 'here'), bucket: undefined }]);
});

test.each([
  ['a bucket without its endpoint', { path: 's3://sectors' }, 'a bucket needs s3'],
  ['a folder with one', { path: '/mnt/sealed', s3: s3() }, 'begins with s3://'],
  ['a folder with a limit', { path: '/mnt/sealed', max_bytes: 5 }, 'MaxStorage'],
  ['a path that is no bucket', { path: 's3://Sectors/../x', s3: s3() }, 's3://NAME'],
  ['a key in the configuration itself', { path: 's3://sectors', s3: { ...s3(), access_key: 'x' } }, 'access_key'],
  ['a key file that is not there', { path: 's3://sectors', s3: s3('/nowhere/key') }, 'key file /nowhere/key of storage cold'],
])('%s is refused', (_what, entry, says) => {
  expect(() => storage(entry)).toThrow(says);
});

test('names of buckets and prefixes', () => {
  expect(bucketOf('s3://sectors')).toEqual({ bucket: 'sectors', prefix: '' });
  expect(bucketOf('s3://sectors/')).toEqual({ bucket: 'sectors', prefix: '' });
  expect(bucketOf('s3://sectors/a/b.c')).toEqual({ bucket: 'sectors', prefix: 'a/b.c/' });
  for (const path of ['s3://', 's3://a', 's3://sectors//a', 's3://sectors/a..b', 's3://sectors/.a', '/mnt/sectors'])
    expect(bucketOf(path)).toBeUndefined();
});

test('storage attach says what the configuration of the runner needs, and does not write into a bucket', { timeout: 60_000 }, async () => {
  const attach = (...args: string[]) =>
    promisify(execFile)(process.execPath, [ENTRY, 'storage', 'attach', ...args], { env: cleanEnvironment() });
  const { stdout } = await attach('s3://sectors/miner');
  expect(stdout).toContain('id = "miner"\n  path = "s3://sectors/miner"');
  expect(stdout).toContain('no Window PoSt from a bucket by itself');
  await expect(attach('s3://sectors/miner', '--init')).rejects.toMatchObject({ stderr: expect.stringContaining('with that folder') });
});
