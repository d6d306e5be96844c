/** The limit on what moves and checks of stored files load each path with, by bytes counted against a clock that only waiting moves on. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type DiskClock, DiskLimit } from '../../src/runners/disk-limit.ts';
import { moveFiles } from '../../src/runners/move-files.ts';
import type { StorageRoot } from '../../src/runners/options.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import { StoredChecks } from '../../src/runners/stored-checks.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { bytesOf } from '../objects/conformance.ts';

const MIB = 2 ** 20;
const BURST_MS = 100;
const { signal } = new AbortController();

class WaitedClock implements DiskClock {
  ms = 0;
  now(): number {
    return this.ms;
  }
  async wait(ms: number, by: AbortSignal): Promise<void> {
    by.throwIfAborted();
    const until = this.ms + ms;
    await new Promise(setImmediate);
    by.throwIfAborted();
    this.ms = Math.max(this.ms, until);
  }
}

/** Notes what was let through, when. */
class Noting extends DiskLimit {
  readonly through: { storage: string; bytes: number; atMs: number }[] = [];
  readonly #clock: WaitedClock;
  constructor(bytesPerS: number | undefined, clock: WaitedClock) {
    super(bytesPerS, clock);
    this.#clock = clock;
  }
  override async take(storage: string, bytes: number, by: AbortSignal): Promise<void> {
    await super.take(storage, bytes, by);
    this.through.push({ storage, bytes, atMs: this.#clock.ms });
  }
  bytesOf(storage: string): number {
    return this.through.filter((one) => one.storage === storage).reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

test('in no stretch of time more goes through than the limit and a tenth of a second of it; nobody waits longer than that takes', async () => {
  const turn = fc.record({
    bytes: fc.integer({ min: 1, max: 3 * MIB }),
    pauseMs: fc.integer({ min: 0, max: 400 }),
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { maxLength: 30 }), fc.integer({ min: 50_000, max: 20 * MIB }), async (turns, bytesPerS) => {
      const clock = new WaitedClock();
      const limit = new Noting(bytesPerS, clock);
      const open: Promise<void>[] = [];
      let pausedMs = 0;
      for (const { bytes, pauseMs, together } of turns) {
        open.push(limit.take('main', bytes, signal));
        if (together) continue;
        await Promise.all(open.splice(0));
        clock.ms += pauseMs;
        pausedMs += pauseMs;
      }
      await Promise.all(open);
      const { through } = limit;
      for (const [first, { atMs: fromMs }] of through.entries()) {
        let bytes = 0;
        for (const { bytes: more, atMs } of through.slice(first + 1)) {
          bytes += more;
          expect(bytes).toBeLessThanOrEqual((bytesPerS * (atMs - fromMs + BURST_MS + 1)) / 1_000 + 1);
        }
      }
      expect(clock.ms - pausedMs).toBeLessThanOrEqual((limit.bytesOf('main') * 1_000) / bytesPerS + 1);
    }),
    { numRuns: 200 },
  );
});

test('each path has its own measure, without a limit nobody waits, and who is stopped while waiting ends', async () => {
  const clock = new WaitedClock();
  const limit = new DiskLimit(MIB, clock);
  await limit.take('main', 10 * MIB, signal);
  expect(clock.ms).toBe(10_000 - BURST_MS);
  await limit.take('other', MIB / 10, signal);
  expect(clock.ms).toBe(10_000 - BURST_MS);
  await new DiskLimit(undefined, clock).take('main', 10 * MIB, signal);
  expect(clock.ms).toBe(10_000 - BURST_MS);
  const stopping = new AbortController();
  const waiting = limit.take('main', MIB, stopping.signal);
  stopping.abort(new Error('the runner is stopping'));
  await expect(waiting).rejects.toThrow('the runner is stopping');
});

const FILES = { 'sealed/s-t01000-7': bytesOf('sealed', 3_000_000), 'cache/s-t01000-7/p_aux': bytesOf('p_aux', 64) };
const SIZE = 3_000_064;
const files = Object.entries(FILES).map(([path, bytes]) => ({
  path,
  sizeBytes: String(bytes.length),
  hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
}));
const about = { miner: MinerId.parse('t01000'), number: 7 };

/** Two paths, the files in the first of them, and a limit. */
async function opened(bytesPerS: number) {
  const dir = await mkdtemp(join(tmpdir(), 'disk-limit-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const roots: StorageRoot[] = ['main', 'other'].map((id) => ({ id, path: join(dir, id) }));
  for (const { path } of roots) await mkdir(path);
  for (const [path, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(join(dir, 'main', path)), { recursive: true });
    await writeFile(join(dir, 'main', path), bytes);
  }
  const clock = new WaitedClock();
  const limit = new Noting(bytesPerS, clock);
  const watch = new StorageWatch(roots, join(dir, 'data'));
  const move = (step: 'copy' | 'drop' | 'undo') =>
    moveFiles({ move: { step, ...about, from: 'main', to: 'other', files }, roots, watch, limit, signal });
  return { clock, limit, move, roots, watch };
}

test('a move pays for each byte that it reads and writes: one reading of the old files; writing, read-back and reading again of the new', async () => {
  const { clock, limit, move } = await opened(100_000);
  expect(await move('copy')).toEqual([]);
  expect([limit.bytesOf('main'), limit.bytesOf('other')]).toEqual([SIZE, 2 * SIZE]);
  expect(await move('drop')).toEqual([]);
  expect([limit.bytesOf('main'), limit.bytesOf('other')]).toEqual([SIZE, 3 * SIZE]);
  expect(clock.ms).toBeGreaterThan((3 * SIZE * 1_000) / 100_000 - BURST_MS - 2);
});

test('a copy that goes on, and one that is taken back, pay for what they read as well', async () => {
  const { limit, move } = await opened(1_000_000);
  await move('copy');
  const [main, other] = [limit.bytesOf('main'), limit.bytesOf('other')];
  await move('copy');
  expect([limit.bytesOf('main') - main, limit.bytesOf('other') - other]).toEqual([0, SIZE]);
  await move('undo');
  expect(limit.bytesOf('main') - main).toBe(SIZE);
});

test('a scrub and a move of one path are together no faster than the limit', async () => {
  const bytesPerS = 500_000;
  const { clock, limit, move, roots, watch } = await opened(bytesPerS);
  let told: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (told = resolve));
  const checks = new StoredChecks(roots, watch, limit, () => told());
  checks.begin([{ storage: 'main', ...about, files, bytesPerS: 1e12 }]);
  expect(await move('copy')).toEqual([]);
  await answered;
  expect(checks.unsent()).toMatchObject([{ outcome: 'checked', bad: [] }]);
  expect(limit.bytesOf('main')).toBe(2 * SIZE);
  expect(clock.ms).toBeGreaterThan((2 * SIZE * 1_000) / bytesPerS - BURST_MS - 2);
});
