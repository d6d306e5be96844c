/** What holds of miner storage wherever it is, in a folder or in a bucket: Persist, the checks and Publish, over one agent. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { MinerId } from '../../src/schema/ids.ts';
import type { StoredCheckAnswer } from '../../src/schema/stored-check.ts';
import type { Report } from '../../src/schema/runner.ts';
import { PersistResult } from '../../src/schema/stage.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import { bytesOf } from '../objects/conformance.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { HAS_SEAWEEDFS, LEAST_PART_BYTES, SERVER_HOOK_MS, type S3Server, startSeaweedfs } from '../objects/s3-servers.ts';
import { eventually, proverWork, useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';
import { type Place, bucketPlace, folderPlace, reportedSlowly } from './storage-place.ts';

const fixture = useAgent();
let server: S3Server | undefined;
let proxy: FaultyProxy;
beforeAll(async () => {
  if (!HAS_SEAWEEDFS) return;
  server = await startSeaweedfs();
  proxy = await FaultyProxy.start(server.endpoint);
}, SERVER_HOOK_MS);
afterAll(async () => {
  await proxy?.close();
  await server?.close();
});

const hashOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
/** Three parts of a bucket, the last one short; more than is read ahead. */
const large = bytesOf('large', 2 * LEAST_PART_BYTES + 77);
const files = {
  sealed: bytesOf('sealed', 100_000),
  'cache/p_aux': bytesOf('p_aux', 64),
  'cache/t_aux': bytesOf('t_aux', 235),
};
const PATHS: Record<keyof typeof files, string> = {
  sealed: 'sealed/s-t01000-7',
  'cache/p_aux': 'cache/s-t01000-7/p_aux',
  'cache/t_aux': 'cache/s-t01000-7/t_aux',
};
const SECTOR_JSON = 'cache/s-t01000-7/sector.json';
const NAMES = [...Object.values(PATHS), SECTOR_JSON].sort();

const wish = (storage: string | null = 'main', of: Partial<Record<keyof typeof files, Buffer>> = {}): GrantWish => ({
  stage: 'Persist',
  work: {
    kind: 'persist',
    storage,
    files: Object.entries(PATHS).map(([artifact, path]) => ({ artifact, path })),
    sectorJson: { path: SECTOR_JSON, content: { miner: 't01000', number: '7' } },
  },
  inputs: { ...files, ...of },
});

async function reported(given: GrantWish): Promise<Report> {
  const { attempt } = await fixture.plane.grant(given);
  return reportedSlowly(fixture, attempt);
}

async function persisted(given = wish()): Promise<PersistResult> {
  const report = await reported(given);
  if (report.outcome !== 'done') throw new Error(report.message);
  return PersistResult.parse(report.result);
}

/** What the check in the background says. */
async function scrubbed(stored: PersistResult['files']): Promise<StoredCheckAnswer | undefined> {
  const before = fixture.plane.checked.length;
  fixture.plane.checks.push({ storage: 'main', miner: MinerId.parse('t01000'), number: 7, files: stored, bytesPerS: 1e12 });
  fixture.plane.wake();
  await eventually(() => fixture.plane.checked.length).toBeGreaterThan(before);
  return fixture.plane.checked.at(-1);
}

const KINDS: readonly (readonly [string, boolean, (dir: string) => Promise<Place>])[] = [
  ['a folder', true, (dir) => folderPlace(`${dir}/place`)],
  ['a bucket', HAS_SEAWEEDFS, async () => bucketPlace(server as S3Server, proxy, `${randomBytes(6).toString('hex')}/`)],
];

for (const [kind, there, open] of KINDS) {
  describe.runIf(there)(`miner storage in ${kind}`, { timeout: 180_000 }, () => {
    let place: Place;
    beforeEach(async () => {
      proxy?.reset();
      place = await open(fixture.dir);
    });
    afterEach(() => place.close());
    const start = () => fixture.start({ storage: [place.root] });

    test('files come under their names, sector.json last; the result tells size and hash of each; nothing else is left', async () => {
      await start();
      const result = await persisted(wish('main', { sealed: large }));
      expect(result).toMatchObject({ storage: 'main', root: place.root.path });
      expect(result.files.map(({ path }) => path)).toEqual([...Object.values(PATHS), SECTOR_JSON]);
      for (const [name, path] of Object.entries(PATHS)) {
        const bytes = name === 'sealed' ? large : files[name as keyof typeof files];
        expect((await place.get(path))?.equals(bytes), path).toBe(true);
        expect(result.files).toContainEqual({ path, sizeBytes: String(bytes.length), hash: hashOf(bytes) });
      }
      expect(JSON.parse(String(await place.get(SECTOR_JSON)))).toEqual({ miner: 't01000', number: '7' });
      expect([await place.names(), await place.drafts()]).toEqual([NAMES, []]);
    });

    test('a second time replaces what was damaged, cut or lost', async () => {
      await start();
      const first = await persisted();
      await place.put(PATHS.sealed, files.sealed.subarray(1));
      await place.put(PATHS['cache/p_aux'], bytesOf('other', 64));
      await place.remove(PATHS['cache/t_aux']);
      expect(await persisted()).toEqual(first);
      for (const [name, path] of Object.entries(PATHS))
        expect((await place.get(path))?.equals(files[name as keyof typeof files]), path).toBe(true);
      expect([await place.names(), await place.drafts()]).toEqual([NAMES, []]);
    });

    test('without a name it goes beside what the sector has already', async () => {
      const other = await folderPlace(`${fixture.dir}/other`, 'other');
      await place.put('update/s-t01000-7', Buffer.from('kept'));
      await other.put('sealed/s-t01000-77', Buffer.from('of another'));
      await fixture.start({ storage: [other.root, place.root] });
      expect(await persisted(wish(null))).toMatchObject({ storage: 'main' });
    });

    test('an input with another hash than granted leaves all as it was', async () => {
      await place.put(PATHS.sealed, Buffer.from('as it was'));
      await start();
      const edited: GrantWish = {
        ...wish(),
        edit: (given) => ({
          ...given,
          inputs: given.inputs.map((input) => (input.name === 'cache/t_aux' ? { ...input, hash: hashOf(files.sealed) } : input)),
        }),
      };
      expect(await reported(edited)).toMatchObject({ outcome: 'failed', code: 'input_differs', input: 'cache/t_aux' });
      expect([await place.names(), await place.drafts()]).toEqual([[PATHS.sealed], []]);
      expect(String(await place.get(PATHS.sealed))).toBe('as it was');
    });

    test('what the cache has damaged or cut of its inputs is fetched anew, and nobody is blamed', async () => {
      await start();
      const edit: GrantWish['edit'] = (given) => ({
        ...given,
        inputs: given.inputs.map((input) => ({ ...input, key: `jobs/j-1/a-1/${input.name}` })),
      });
      expect(await reported({ work: proverWork({ do: 'copy' }), inputs: files, edit })).toMatchObject({ outcome: 'done' });
      const cache = join(fixture.dataDir, 'artifacts');
      const kept = await readdir(cache);
      expect(kept).toHaveLength(3);
      for (const name of kept.filter((one) => !one.includes('p_aux')))
        await writeFile(join(cache, name), name.includes('sealed') ? bytesOf('damaged', 100_000) : 'cut');
      const before = fixture.plane.fetchedBytes;
      const result = await persisted({ ...wish(), edit });
      expect(result.files.slice(0, 3).map(({ hash }) => hash)).toEqual(Object.values(files).map(hashOf));
      expect(fixture.plane.fetchedBytes - before).toBe(files.sealed.length + files['cache/t_aux'].length);
      expect([await place.names(), await place.drafts()]).toEqual([NAMES, []]);
    });

    test.each(['../escape', '/etc/escape', 'sealed/../../escape', 'sealed/.hidden', 'a\u0000b'])('path %j is refused', async (path) => {
      await start();
      const { work, ...rest } = wish();
      if (work.kind !== 'persist') throw new Error('the wish is not to persist');
      expect(await reported({ ...rest, work: { ...work, files: [{ artifact: 'sealed', path }] } })).toMatchObject({
        outcome: 'failed',
        code: 'bad_request',
      });
      expect(await place.names()).toEqual([]);
    });

    test('one that is away is storage_full for all, and no file of it counts as bad; back again, all goes on', async () => {
      await start();
      const { files: stored } = await persisted();
      await place.takeAway();
      const away = { outcome: 'failed', code: 'storage_full' };
      expect(await reported(wish())).toMatchObject(away);
      expect(await reported({ stage: 'Verify', work: { kind: 'check-stored', storage: 'main', files: stored } })).toMatchObject(away);
      const publish: GrantWish = { stage: 'Publish', work: publishing(stored), outputs: { sealed: files.sealed.length } };
      expect(await reported(publish)).toMatchObject(away);
      expect(await scrubbed(stored)).toMatchObject({ outcome: 'away', bad: [] });
      await place.bringBack();
      expect(await persisted()).toMatchObject({ storage: 'main' });
    });

    test('the check: whole files pass; a flipped bit, a cut and a missing file are named', async () => {
      await start();
      const { files: stored } = await persisted();
      const check = () => reported({ stage: 'Verify', work: { kind: 'check-stored', storage: 'main', files: stored } });
      expect(await check()).toMatchObject({ outcome: 'done', result: { valid: true } });
      const flipped = Buffer.from(files.sealed);
      flipped.writeUInt8(flipped.readUInt8(90_000) ^ 1, 90_000);
      const bad = { outcome: 'failed', code: 'input_invalid', input: PATHS.sealed };
      await place.put(PATHS.sealed, flipped);
      expect(await check()).toMatchObject({ ...bad, message: expect.stringContaining('has hash') });
      await place.put(PATHS.sealed, files.sealed.subarray(1));
      expect(await check()).toMatchObject({ ...bad, message: expect.stringContaining(`has ${files.sealed.length - 1} bytes`) });
      await place.remove(PATHS.sealed);
      expect(await check()).toMatchObject({ ...bad, message: expect.stringContaining('is not there') });
    });

    test('the background check names each bad file, and no good one', async () => {
      await start();
      const { files: stored } = await persisted();
      await place.put(PATHS['cache/p_aux'], bytesOf('other', 64));
      await place.remove(PATHS['cache/t_aux']);
      expect(await scrubbed(stored)).toMatchObject({
        outcome: 'checked',
        bad: [
          { path: PATHS['cache/p_aux'], how: expect.stringContaining('it has hash') },
          { path: PATHS['cache/t_aux'], how: 'it is not there' },
        ],
      });
    });

    const publishing = (stored: PersistResult['files']): GrantWish['work'] => ({
      kind: 'publish',
      storage: 'main',
      files: [{ artifact: 'sealed', path: PATHS.sealed, hash: stored.find(({ path }) => path === PATHS.sealed)?.hash ?? null }],
    });

    test('Publish: byte for byte into object storage; what is missing, damaged or too large is named; nothing is changed', async () => {
      await start();
      const { files: stored } = await persisted(wish('main', { sealed: large }));
      const given: GrantWish = { stage: 'Publish', work: publishing(stored), outputs: { sealed: large.length } };
      const report = await reported(given);
      expect(report).toMatchObject({ outcome: 'done', outputs: [{ name: 'sealed', hash: hashOf(large) }] });
      expect((await fixture.plane.output(report, 'sealed')).equals(large)).toBe(true);
      expect(await place.names()).toEqual(NAMES);
      const bad = { outcome: 'failed', code: 'input_invalid', input: PATHS.sealed };
      expect(await reported({ ...given, outputs: { sealed: 1_000 } })).toMatchObject({
        ...bad,
        message: expect.stringContaining('can have 1000'),
      });
      await place.put(PATHS.sealed, large.subarray(1));
      expect(await reported(given)).toMatchObject({ ...bad, message: expect.stringContaining('has hash') });
      await place.remove(PATHS.sealed);
      expect(await reported(given)).toMatchObject({ ...bad, message: expect.stringContaining('is not there') });
    });

    test('what is told of it: its rules, its room, and what stands against it', async () => {
      const rules = { weight: 3, reserveBytes: 7, allowMiners: ['t01000'], denyMiners: ['t02000'] };
      const look = (more = {}) => {
        const root = { ...place.root, ...rules, ...more };
        return new StorageWatch([root], fixture.dataDir).look(root);
      };
      expect(await look()).toMatchObject({ id: 'main', path: place.root.path, storeId: null, readOnly: false, problem: null, ...rules });
      expect(await look({ readOnly: true })).toMatchObject({ readOnly: true });
      const store = { ID: 'store-1', Weight: 10, CanStore: true, MaxStorage: 1_000_000, AllowMiners: ['t03000'] };
      await place.put('sectorstore.json', Buffer.from(JSON.stringify(store)));
      const known = await look({ weight: undefined, allowMiners: undefined });
      expect(known).toMatchObject({ storeId: 'store-1', weight: 10, allowMiners: ['t03000'], problem: null });
      expect(known.freeBytes).toBeLessThan(1_000_000);
      await place.put('sectorstore.json', Buffer.from(JSON.stringify({ ...store, ID: 'store-2' })));
      expect((await look()).problem).toContain('of another disk');
      await place.remove('sectorstore.json');
      expect((await look()).problem).toContain('has no sectorstore.json any more');
      await place.takeAway();
      expect((await look()).problem).not.toBeNull();
    });
  });
}
