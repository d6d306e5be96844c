/** What a crash, a second process and a failing disk may and may not do. Nothing here is simulated in memory. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Store } from '../../src/scheduler/ports.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { startWriter } from './child/spawn.ts';

// Processes are started, traced and killed here, beside whatever else this machine does.
vi.setConfig({ testTimeout: 90_000 });

const hasStrace = spawnSync('strace', ['-V']).status === 0;
const canMount = process.getuid?.() === 0 && process.platform === 'linux' && spawnSync('unshare', ['-m', 'true']).status === 0;
if (!hasStrace) console.warn('strace is not installed: fsyncs are not counted and no I/O error is injected');
if (!canMount) console.warn('not root: no small disk can be mounted to run full');

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sealpool-durability-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function open(path: string, onFatal: (error: Error) => void = (error) => expect.fail(error.message)): Store {
  const store = openNodeStore({ path, onFatal });
  onTestFinished(() => store.close());
  return store;
}

/** The numbers the writer's rows have in the database. */
function stored(store: Store, upTo: number): Promise<number[]> {
  return store.commit((tx) => Array.from({ length: upTo }, (_, n) => n).filter((n) => tx.meta(`n-${n}`) !== undefined));
}

/** How often the writer's threads called fsync or fdatasync on the way to `written`. */
async function syncsOf(count: number, how: 'together' | 'one-by-one'): Promise<number> {
  const at = folder();
  const trace = join(at, 'trace');
  const writer = startWriter([join(at, 'a.db'), count, how], ['strace', '-f', '-o', trace, '-e', 'trace=fsync,fdatasync']);
  await writer.printed('written');
  const lines = readFileSync(trace, 'utf8').split('\n');
  writer.process.stdin.end();
  await writer.ended();
  return lines.filter((line) => /\bf(data)?sync\(/.test(line)).length;
}

test.runIf(hasStrace)('every commit on its own is synced to the disk: FULL, not the NORMAL the package is built with', async () => {
  const opening = await syncsOf(0, 'one-by-one');
  expect((await syncsOf(100, 'one-by-one')) - opening).toBeGreaterThanOrEqual(100);
});

test.runIf(hasStrace)('a hundred requests of one turn share one sync', async () => {
  const opening = await syncsOf(0, 'together');
  const syncs = (await syncsOf(100, 'together')) - opening;
  expect(syncs).toBeGreaterThanOrEqual(1);
  expect(syncs).toBeLessThanOrEqual(3);
});

test('what was reported durable is there after kill -9', async () => {
  const path = join(folder(), 'a.db');
  for (const line of ['durable 3', 'durable 40', 'durable 41']) {
    const writer = startWriter([path, 100_000, 'one-by-one']);
    await writer.printed(line);
    writer.process.kill('SIGKILL');
    await writer.ended();
    const store = openNodeStore({ path, onFatal: (error) => expect.fail(error.message) });
    const found = await stored(store, 2_000);
    expect(found).toEqual(expect.arrayContaining(writer.durable));
    store.close();
  }
});

test('a second process is refused while the first lives, and let in when it was killed', async () => {
  const path = join(folder(), 'a.db');
  const first = startWriter([path, 0, 'one-by-one']);
  await first.printed('written');
  expect(() => open(path)).toThrow(/another control plane is running on .*a\.db; stop it first/);
  first.process.kill('SIGKILL');
  await first.ended();
  const store = open(path);
  const third = startWriter([path, 0, 'one-by-one']);
  expect(await third.ended()).toMatchObject({ code: 4, stderr: expect.stringMatching(/^database_in_use: /) });
  await store.commit((tx) => tx.setMeta('still', 'mine'));
});

test.runIf(canMount)('a full disk: 503 and nothing stays; with space again it goes on by itself', async () => {
  const disk = folder();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
  onTestFinished(() => {
    execFileSync('umount', [disk]);
  });
  const store = openNodeStore({ path: join(disk, 'a.db'), onFatal: (error) => expect.fail(error.message) });
  try {
    await store.commit((tx) => tx.setMeta('before', 'kept'));
    const ballast = join(disk, 'ballast');
    const free = Number(execFileSync('stat', ['-f', '-c', '%a', disk]).toString()) * 4096;
    writeFileSync(ballast, Buffer.alloc(free - 100 * 1024));

    const big = (key: string): Promise<void> => store.commit((tx) => tx.setMeta(key, 'x'.repeat(1_000_000)));
    const beside = store.commit((tx) => tx.setMeta('beside', 'same turn'));
    const full = { kind: 'storage_full', status: 503, extra: { retryAfterSeconds: expect.any(Number) } };
    await expect(big('big')).rejects.toMatchObject(full);
    await expect(beside).rejects.toMatchObject(full);
    await expect(big('again')).rejects.toMatchObject(full);
    expect(await store.commit((tx) => ['before', 'big', 'beside'].map((key) => tx.meta(key)))).toEqual(['kept', undefined, undefined]);

    rmSync(ballast);
    await big('big');
    expect(await store.commit((tx) => tx.meta('big')?.length)).toBe(1_000_000);
  } finally {
    store.close();
  }
});

test.runIf(hasStrace)('an I/O error ends the process; a restart has everything that was reported durable', async () => {
  const path = join(folder(), 'a.db');
  const writer = startWriter(
    [path, 1_000, 'one-by-one'],
    ['strace', '-f', '-o', '/dev/null', '-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO:when=30+'],
  );
  const { code, stderr } = await writer.ended();
  expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('fatal: disk I/O error') });
  expect(writer.durable.length).toBeGreaterThan(5);
  expect(writer.durable.length).toBeLessThan(1_000);
  expect(await stored(open(path), 1_000)).toEqual(expect.arrayContaining(writer.durable));
});
