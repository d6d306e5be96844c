/** Paths of miner storage on real disks: what is told of them, what Persist does with one that is read-only, full, limited or taken away, and lotus' layout. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { StorageRoot } from '../../src/runners/options.ts';
import { initSectorStore } from '../../src/cli/commands/storage-attach.ts';
import { readSectorStore } from '../../src/runners/sectorstore.ts';
import { META_FILE } from '../../src/schema/sector-store.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import { bytesOf } from '../objects/conformance.ts';
import { canMount } from '../objects/local-server.ts';
import { eventually, useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';
import { lotusComplaints } from './lotus-layout.ts';

const fixture = useAgent();
const mounted: string[] = [];
// Registered after the fixture's, so it runs before that one removes its folders.
afterEach(() => {
  for (const path of mounted.splice(0)) execFileSync('umount', ['-l', path]);
});
const files = { sealed: bytesOf('sealed', 100_000), 'cache/p_aux': bytesOf('p_aux', 64), 'cache/t_aux': bytesOf('t_aux', 235) };
const wish = (storage: string | null, sealed = files.sealed): GrantWish => ({
  stage: 'Persist',
  work: {
    kind: 'persist',
    storage,
    files: [
      { artifact: 'sealed', path: 'sealed/s-t01000-7' },
      { artifact: 'cache/p_aux', path: 'cache/s-t01000-7/p_aux' },
      { artifact: 'cache/t_aux', path: 'cache/s-t01000-7/t_aux' },
    ],
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { number: '7' } },
  },
  inputs: { ...files, sealed },
});

async function persisted(storage: string | null, sealed?: Buffer) {
  const { attempt } = await fixture.plane.grant(wish(storage, sealed));
  return fixture.reported(attempt);
}

async function folder(id: string): Promise<StorageRoot> {
  const root = { id, path: join(fixture.dir, id) };
  await mkdir(root.path);
  return root;
}

/** A disk of its own at the root; gone when the test ends. */
async function disk(id: string, options: string): Promise<StorageRoot> {
  const root = await folder(id);
  mountAt(root.path, options);
  return root;
}

function mountAt(path: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', path]);
  mounted.push(path);
}

const looked = (root: StorageRoot) => new StorageWatch([root], fixture.dataDir).look(root);
const NEW_STORE = { weight: 10, maxBytes: 0, allowMiners: [], denyMiners: [] };

test('the folder that Persist fills is one that lotus attaches: names, sectorstore.json, nothing besides', async () => {
  const store = await initSectorStore(fixture.storage.path, { ...NEW_STORE, allowMiners: ['t01000'], denyMiners: ['f02000'] });
  await fixture.start();
  expect(await persisted('main')).toMatchObject({ outcome: 'done' });
  expect(await lotusComplaints(fixture.storage.path)).toEqual([]);
  const all = (await readdir(fixture.storage.path, { recursive: true })).filter((name) => !name.includes('fetching')).sort();
  const cache = ['p_aux', 'sector.json', 't_aux'].map((name) => `cache/s-t01000-7/${name}`);
  expect(all).toEqual(['cache', 'cache/s-t01000-7', ...cache, 'sealed', 'sealed/s-t01000-7', META_FILE]);
  expect(store).toMatchObject({
    Weight: 10,
    CanStore: true,
    CanSeal: false,
    MaxStorage: 0,
    AllowMiners: ['t01000'],
    DenyMiners: ['f02000'],
  });
  await expect(initSectorStore(fixture.storage.path, NEW_STORE)).rejects.toThrow('leave --init out');
  // The checker itself finds what is wrong.
  await writeFile(join(fixture.storage.path, 'sealed', '.s-t01000-8.tmp'), 'x');
  await rm(join(fixture.storage.path, 'cache/s-t01000-7/p_aux'));
  await writeFile(join(fixture.storage.path, META_FILE), JSON.stringify({ ...store, ID: 'main', Weight: -1, Group: [] }));
  expect(await lotusComplaints(fixture.storage.path)).toHaveLength(5);
});

test('the control plane is told of every path: what sectorstore.json says, over it what the configuration says', async () => {
  const plain = await folder('plain');
  const known = await folder('known');
  const set = { ...(await folder('set')), weight: 3, reserveBytes: 5_000, readOnly: true, denyMiners: ['t02000'] };
  const lotus = {
    ID: 'c0ffee',
    Weight: 7,
    CanSeal: true,
    CanStore: true,
    MaxStorage: 0,
    Groups: null,
    AllowTo: null,
    AllowMiners: ['t01000'],
  };
  for (const { path } of [known, set]) await writeFile(join(path, META_FILE), JSON.stringify(lotus));
  await fixture.start({ storage: [plain, known, set] });
  await eventually(() => fixture.plane.nexts.length).toBeGreaterThan(0);
  const told = fixture.plane.nexts[0]?.storage ?? [];
  expect(
    told.map(({ id, storeId, weight, readOnly, allowMiners, denyMiners, reserveBytes, problem }) => [
      id,
      storeId,
      weight,
      readOnly,
      allowMiners,
      denyMiners,
      reserveBytes,
      problem,
    ]),
  ).toEqual([
    ['plain', null, 1, false, [], [], 0, null],
    ['known', 'c0ffee', 7, false, ['t01000'], [], 0, null],
    ['set', 'c0ffee', 3, true, ['t01000'], ['t02000'], 5_000, null],
  ]);
  for (const { freeBytes, totalBytes } of told) expect(freeBytes > 0 && totalBytes >= freeBytes).toBe(true);
});

test.each([
  [{ CanStore: false }, 'CanStore'],
  [{ AllowTypes: ['unsealed'] }, 'keeps sealed files out'],
  [{ DenyTypes: ['update-cache'] }, 'keeps update-cache files out'],
])('a sectorstore.json that keeps final files out is kept to: %j', async (change, why) => {
  const root = await folder('kept');
  const store = await initSectorStore(root.path, NEW_STORE);
  await writeFile(join(root.path, META_FILE), JSON.stringify({ ...store, ...change }));
  expect(await looked(root)).toMatchObject({ problem: expect.stringContaining(why) });
});

test('MaxStorage limits what is free, and one that is broken is told of', async () => {
  const root = await folder('limited');
  await initSectorStore(root.path, { ...NEW_STORE, maxBytes: 1_000_000 });
  await writeFile(join(root.path, 'big'), bytesOf('big', 600_000));
  const { freeBytes } = await looked(root);
  expect(freeBytes).toBeGreaterThan(300_000);
  expect(freeBytes).toBeLessThan(400_000);
  await writeFile(join(root.path, META_FILE), '{"ID":');
  expect(await looked(root)).toMatchObject({ problem: expect.stringContaining('not what lotus writes'), freeBytes: 0 });
});

test('a path with a limit is not taken for lost while its files come and go', async () => {
  const root = await folder('busy');
  await initSectorStore(root.path, { ...NEW_STORE, maxBytes: 100_000_000 });
  const drafts = join(root.path, 'cache/fetching');
  let over = false;
  const churn = (async () => {
    for (let round = 0; !over; round += 1) {
      const sector = join(drafts, `s-t01000-${round % 7}.tmp`);
      await mkdir(sector, { recursive: true });
      for (const name of ['p_aux', 't_aux', 'sector.json']) await writeFile(join(sector, name), name);
      await rm(join(drafts, `s-t01000-${(round + 1) % 7}.tmp`), { recursive: true, force: true });
    }
  })();
  // Each counts anew.
  const problems = new Set<string | null>();
  for (let time = 0; time < 300; time += 1) problems.add((await looked(root)).problem);
  over = true;
  await churn;
  expect([...problems]).toEqual([null]);
});

test('what is used is counted again beside the answers, which say what was counted last', async () => {
  const root = await folder('grown');
  await initSectorStore(root.path, { ...NEW_STORE, maxBytes: 1_000_000 });
  const watch = new StorageWatch([root], fixture.dataDir, 0);
  const before = (await watch.look(root)).freeBytes;
  await writeFile(join(root.path, 'big'), bytesOf('big', 600_000));
  expect((await watch.look(root)).freeBytes).toBe(before);
  await eventually(async () => (await watch.look(root)).freeBytes).toBeLessThan(400_000);
});

test.skipIf(!canMount)('full at 60 %: the job waits with the reason, nothing of it stays, and it goes on once there is space', async () => {
  await mkdir(fixture.storage.path, { recursive: true });
  mountAt(fixture.storage.path, 'size=4m');
  await fixture.start();
  // The disk is filled by somebody else while the file is written: 60 % of it fit.
  const sealed = bytesOf('much', 2_000_000);
  await writeFile(join(fixture.storage.path, 'other'), bytesOf('other', 2_900_000));
  expect(await persisted('main', sealed)).toMatchObject({
    outcome: 'failed',
    code: 'storage_full',
    message: expect.stringContaining('are needed'),
  });
  // Told to be free, and it is not: the statement of the file system comes too early, as it does on a shared disk.
  const watch = StorageWatch.prototype.look;
  onTestFinished(() => void (StorageWatch.prototype.look = watch));
  StorageWatch.prototype.look = async function (root) {
    return { ...(await watch.call(this, root)), freeBytes: 1e12 };
  };
  expect(await persisted('main', sealed)).toMatchObject({
    outcome: 'failed',
    code: 'storage_full',
    message: expect.stringContaining('free space there'),
  });
  StorageWatch.prototype.look = watch;
  const left = (await readdir(fixture.storage.path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(left.map(({ name }) => name)).toEqual(['other']);
  await rm(join(fixture.storage.path, 'other'));
  expect(await persisted('main', sealed)).toMatchObject({ outcome: 'done' });
  expect((await readFile(join(fixture.storage.path, 'sealed/s-t01000-7'))).equals(sealed)).toBe(true);
});

test.skipIf(!canMount)('a disk that is mounted read-only is told of and passed over', async () => {
  const ro = await disk('ro', 'size=8m,ro');
  await fixture.start({ storage: [ro, fixture.storage] });
  expect(await looked(ro)).toMatchObject({ readOnly: true, problem: null });
  expect(await persisted('ro')).toMatchObject({ outcome: 'failed', code: 'storage_full', message: 'storage ro: it is read-only' });
  expect(await persisted(null)).toMatchObject({ outcome: 'done', result: { storage: 'main' } });
});

test.skipIf(!canMount)('a disk that was taken away: its mount point is no storage, also after a restart, until it is back', async () => {
  const root = await folder('gone');
  const mount = (): void => void execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', root.path]);
  mount();
  const store = await initSectorStore(root.path, NEW_STORE);
  const agent = await fixture.start({ storage: [root] });
  await eventually(() => fixture.plane.nexts.at(-1)?.storage?.[0]?.storeId).toBe(store.ID);
  execFileSync('umount', ['-l', root.path]);
  const away = { outcome: 'failed', code: 'storage_full', message: expect.stringContaining('mount its disk') };
  expect(await persisted('gone')).toMatchObject(away);
  await agent.stop();
  await fixture.start({ storage: [root, fixture.storage] });
  expect(await persisted('gone')).toMatchObject(away);
  expect(await persisted(null)).toMatchObject({ result: { storage: 'main' } });
  expect(await readdir(root.path)).toEqual([]);
  mount();
  mounted.push(root.path);
  // Another disk under its name is not taken for it.
  const other = await initSectorStore(root.path, NEW_STORE);
  expect(await persisted('gone')).toMatchObject({ outcome: 'failed', message: expect.stringContaining(`of another disk (${other.ID}`) });
  await writeFile(join(root.path, META_FILE), JSON.stringify(store));
  expect(await persisted('gone')).toMatchObject({ outcome: 'done' });
});

test('a path that is away when the runner starts does not keep it from the others', async () => {
  const away = { id: 'away', path: join(fixture.dir, 'nowhere') };
  await fixture.start({ storage: [away, fixture.storage] });
  expect(fixture.log.some(({ message }) => message.includes('nothing is stored there'))).toBe(true);
  expect(await persisted('away')).toMatchObject({ outcome: 'failed', code: 'storage_full' });
  expect(await persisted(null)).toMatchObject({ outcome: 'done', result: { storage: 'main' } });
});

test('files that were written into a folder that is then moved away count as not stored', async () => {
  await initSectorStore(fixture.storage.path, NEW_STORE);
  await fixture.start();
  await eventually(() => fixture.plane.nexts.length).toBeGreaterThan(0);
  expect(await readSectorStore(fixture.storage.path)).toBeDefined();
  await rename(fixture.storage.path, join(fixture.dir, 'moved'));
  await mkdir(fixture.storage.path);
  expect(await persisted('main')).toMatchObject({ outcome: 'failed', code: 'storage_full' });
});
