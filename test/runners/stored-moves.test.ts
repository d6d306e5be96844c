/** Moves of stored files by a real runner, on real folders: what is copied, what stays, what stands against it. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StorageRoot } from '../../src/runners/options.ts';
import { MinerId } from '../../src/schema/ids.ts';
import type { MoveStep, StoredMoveAnswer } from '../../src/schema/stored-move.ts';
import { bytesOf } from '../objects/conformance.ts';
import { canMount } from '../objects/local-server.ts';
import { eventually, useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const mounted: string[] = [];
// Registered after the fixture's, so it runs before that one removes its folders.
afterEach(() => {
  for (const path of mounted.splice(0)) execFileSync('umount', ['-l', path]);
});
const FILES = {
  'sealed/s-t01000-7': bytesOf('sealed', 3_000_000),
  'cache/s-t01000-7/p_aux': bytesOf('p_aux', 64),
  'cache/s-t01000-7/t_aux': bytesOf('t_aux', 235),
};
const paths = Object.keys(FILES).toSorted();
const files = Object.entries(FILES).map(([path, bytes]) => ({
  path,
  sizeBytes: String(bytes.length),
  hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
}));
let other: StorageRoot;

beforeEach(async () => {
  other = { id: 'other', path: join(fixture.dir, 'other') };
  await mkdir(other.path);
  for (const [path, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(join(fixture.storage.path, path)), { recursive: true });
    await writeFile(join(fixture.storage.path, path), bytes);
  }
});

const start = () => fixture.start({ storage: [fixture.storage, other] });

/** Asks for one step; answers what came of it. */
async function step(name: MoveStep): Promise<StoredMoveAnswer | undefined> {
  const before = fixture.plane.moved.length;
  fixture.plane.moves.push({ step: name, miner: MinerId.parse('t01000'), number: 7, from: 'main', to: 'other', files });
  fixture.plane.wake();
  await eventually(() => fixture.plane.moved.length).toBeGreaterThan(before);
  return fixture.plane.moved.at(-1);
}

async function filesIn(root: { path: string }): Promise<string[]> {
  const entries = await readdir(root.path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.path.length + 1))
    .toSorted();
}
const isWhole = async (root: { path: string }): Promise<boolean> => {
  for (const [path, bytes] of Object.entries(FILES)) if (!(await readFile(join(root.path, path))).equals(bytes)) return false;
  return true;
};
const done = { outcome: 'done', bad: [], message: null };

test('files are copied, then those of the old path go; each step may be asked for twice', async () => {
  await start();
  for (let time = 0; time < 2; time += 1) {
    expect(await step('copy')).toMatchObject({ step: 'copy', from: 'main', to: 'other', ...done });
    expect([await isWhole(fixture.storage), await isWhole(other)]).toEqual([true, true]);
  }
  for (let time = 0; time < 2; time += 1) {
    expect(await step('drop')).toMatchObject(done);
    expect([await filesIn(fixture.storage), await filesIn(other)]).toEqual([[], paths]);
  }
  expect(await isWhole(other)).toBe(true);
  expect(await readdir(join(fixture.storage.path, 'cache'))).toEqual(['fetching']);
});

test('a move that is over, and that a restored database knows nothing of, is made again without the old files', async () => {
  await start();
  await step('copy');
  await step('drop');
  expect(await step('copy')).toMatchObject(done);
  expect(await step('drop')).toMatchObject(done);
  expect([await filesIn(fixture.storage), await isWhole(other)]).toEqual([[], true]);
});

test('what is left of a copy that did not come to its end is made good: half files, drafts that are whole and that are not', async () => {
  await start();
  await mkdir(join(other.path, 'cache/s-t01000-7'), { recursive: true });
  await writeFile(join(other.path, 'cache/s-t01000-7/p_aux'), 'half');
  await mkdir(join(other.path, 'sealed/fetching'), { recursive: true });
  await writeFile(join(other.path, 'sealed/fetching/s-t01000-7.move.tmp'), FILES['sealed/s-t01000-7']);
  await mkdir(join(other.path, 'cache/fetching/s-t01000-7.move.tmp'), { recursive: true });
  await writeFile(join(other.path, 'cache/fetching/s-t01000-7.move.tmp/t_aux'), bytesOf('another', 235));
  expect(await step('copy')).toMatchObject(done);
  expect([await filesIn(other), await isWhole(other)]).toEqual([paths, true]);
});

test('an old file that is bad is told, and nothing takes its place; undo removes what was made', async () => {
  await start();
  const flipped = Buffer.from(FILES['sealed/s-t01000-7']);
  flipped.writeUInt8(flipped.readUInt8(1_000_000) ^ 1, 1_000_000);
  await writeFile(join(fixture.storage.path, 'sealed/s-t01000-7'), flipped);
  await rm(join(fixture.storage.path, 'cache/s-t01000-7/t_aux'));
  expect(await step('copy')).toMatchObject({
    outcome: 'bad',
    bad: [
      { path: 'sealed/s-t01000-7', how: expect.stringContaining('and not sha256:') },
      { path: 'cache/s-t01000-7/t_aux', how: 'it is not there' },
    ],
  });
  expect((await filesIn(other)).filter((path) => !path.includes('fetching'))).toEqual([]);
  expect(await step('undo')).toMatchObject(done);
  expect(await filesIn(other)).toEqual([]);
});

test('old files stay as long as the new ones do not agree', async () => {
  await start();
  expect(await step('copy')).toMatchObject(done);
  const cut = FILES['sealed/s-t01000-7'].subarray(0, 2_999_999);
  await writeFile(join(other.path, 'sealed/s-t01000-7'), cut);
  expect(await step('drop')).toMatchObject({
    outcome: 'bad',
    bad: [{ path: 'sealed/s-t01000-7', how: 'it has 2999999 bytes and not 3000000' }],
  });
  expect(await isWhole(fixture.storage)).toBe(true);
  expect(await step('copy')).toMatchObject(done);
  expect(await step('drop')).toMatchObject(done);
  expect([await filesIn(fixture.storage), await isWhole(other)]).toEqual([[], true]);
});

test('a path that is away, or that leads out by a link, is left alone with the reason', async () => {
  await start();
  await rename(other.path, join(fixture.dir, 'away'));
  for (const name of ['copy', 'drop', 'undo'] as const) {
    expect(await step(name)).toMatchObject({ outcome: 'failed', message: expect.stringContaining('mount it') });
  }
  await rename(join(fixture.dir, 'away'), other.path);
  await mkdir(join(fixture.dir, 'outside'));
  await symlink(join(fixture.dir, 'outside'), join(other.path, 'sealed'));
  expect(await step('copy')).toMatchObject({ outcome: 'failed', message: expect.stringContaining('a link that leads out of it') });
  expect([await isWhole(fixture.storage), await readdir(join(fixture.dir, 'outside'))]).toEqual([true, []]);
});

test('undo leaves what the old path has no whole file of', async () => {
  await start();
  expect(await step('copy')).toMatchObject(done);
  await writeFile(join(fixture.storage.path, 'cache/s-t01000-7/p_aux'), 'bad');
  expect(await step('undo')).toMatchObject(done);
  expect(await filesIn(other)).toEqual(['cache/s-t01000-7/p_aux']);
});

test.each(['a link', 'a mount'])('two paths that are one folder by %s: nothing is removed', async (how) => {
  if (how === 'a mount' && !canMount) return;
  if (how === 'a mount') {
    execFileSync('mount', ['--bind', fixture.storage.path, other.path]);
    mounted.push(other.path);
  } else {
    await rm(other.path, { recursive: true });
    await symlink(fixture.storage.path, other.path);
  }
  await start();
  for (const name of ['copy', 'drop', 'undo'] as const)
    expect(await step(name)).toMatchObject({ outcome: 'failed', message: expect.stringContaining('are one folder') });
  expect([await isWhole(fixture.storage), await filesIn(fixture.storage)]).toEqual([true, paths]);
});

test.skipIf(!canMount)('a path that became read-only is copied all the same; its files stay, with the reason', async () => {
  execFileSync('mount', ['--bind', fixture.storage.path, fixture.storage.path]);
  mounted.push(fixture.storage.path);
  execFileSync('mount', ['-o', 'remount,ro,bind', fixture.storage.path]);
  await start();
  expect(await step('copy')).toMatchObject(done);
  expect(await step('drop')).toMatchObject({ outcome: 'failed', message: 'storage main: it is read-only' });
  expect([await isWhole(fixture.storage), await isWhole(other)]).toEqual([true, true]);
});

test.skipIf(!canMount)('a path without room takes nothing, and the files are moved once there is', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', other.path]);
  mounted.push(other.path);
  await writeFile(join(other.path, 'other'), bytesOf('other', 2_000_000));
  await start();
  expect(await step('copy')).toMatchObject({ outcome: 'failed', message: expect.stringContaining('free space there') });
  expect(await filesIn(other)).toEqual(['other']);
  await rm(join(other.path, 'other'));
  expect(await step('copy')).toMatchObject(done);
  expect(await step('drop')).toMatchObject(done);
  expect([await filesIn(fixture.storage), await isWhole(other)]).toEqual([[], true]);
});
