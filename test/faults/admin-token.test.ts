/** The first token is on the disk, with its name, before the database knows it: a power cut in between locks nobody out. Real: the process and its calls (strace). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Daemon } from '../e2e/processes.ts';
import { ENVIRONMENT, hasStrace } from './faulty-serve.ts';

test.runIf(hasStrace)('the folder is synced after the renaming and before the next commit', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [data, trace] = [join(folder, 'data'), join(folder, 'trace')];
  const strace = ['strace', '-D', '-f', '-y', '-o', trace, '-e', 'trace=rename,renameat,renameat2,fsync,fdatasync'];
  const daemon = new Daemon(['serve', '--data', data], ENVIRONMENT, join(folder, 'log'), strace);
  await daemon.start();
  expect(await daemon.end('SIGTERM')).toBe(0);
  const lines = readFileSync(trace, 'utf8').split('\n');
  const renamed = lines.findIndex((line) => line.includes('rename') && line.includes('admin.token'));
  expect(renamed).toBeGreaterThan(0);
  const after = lines.slice(renamed).filter((line) => /\bf(data)?sync\(/.test(line));
  expect(after[0]).toContain(`<${data}>`);
  expect(after.some((line) => line.includes('sealpool.sqlite-wal>'))).toBe(true);
});
