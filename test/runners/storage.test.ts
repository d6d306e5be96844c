/** Persist and the check of stored files, on a real folder. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PersistResult } from '../../src/schema/stage.ts';
import { bytesOf } from '../objects/conformance.ts';
import { canMount } from '../objects/local-server.ts';
import { useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';

const fixture = useAgent();
const sealed = bytesOf('sealed', 100_000);
const pAux = bytesOf('p_aux', 64);
const hashOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const wish = (storage: string | null = null): GrantWish => ({
  stage: 'Persist',
  work: {
    kind: 'persist',
    storage,
    files: [
      { artifact: 'sealed', path: 'sealed/s-t01000-7' },
      { artifact: 'cache/p_aux', path: 'cache/s-t01000-7/p_aux' },
    ],
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { miner: 't01000', number: '7' } },
  },
  inputs: { sealed, 'cache/p_aux': pAux },
});

async function put(root: { path: string }, path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root.path, path)), { recursive: true });
  await writeFile(join(root.path, path), content);
}

async function secondRoot(): Promise<{ id: string; path: string }> {
  const other = { id: 'other', path: join(fixture.dir, 'other') };
  await mkdir(other.path);
  return other;
}

async function persisted(storage: string | null = null): Promise<PersistResultType> {
  const { attempt } = await fixture.plane.grant(wish(storage));
  const report = await fixture.reported(attempt);
  if (report.outcome !== 'done') throw new Error(report.message);
  return PersistResult.parse(report.result);
}
type PersistResultType = ReturnType<typeof PersistResult.parse>;

describe('persist', () => {
  test('files come under their names with sector.json, and the result tells size and hash of each', async () => {
    await fixture.start();
    const result = await persisted();
    expect(result).toMatchObject({ storage: 'main', root: fixture.storage.path });
    expect(result.files.map(({ path, hash }) => [path, hash]).slice(0, 2)).toEqual([
      ['sealed/s-t01000-7', hashOf(sealed)],
      ['cache/s-t01000-7/p_aux', hashOf(pAux)],
    ]);
    expect((await readFile(join(fixture.storage.path, 'sealed/s-t01000-7'))).equals(sealed)).toBe(true);
    const json = await readFile(join(fixture.storage.path, 'cache/s-t01000-7/sector.json'));
    expect(JSON.parse(json.toString())).toEqual({ miner: 't01000', number: '7' });
    expect(result.files[2]).toEqual({ path: 'cache/s-t01000-7/sector.json', sizeBytes: String(json.length), hash: hashOf(json) });
    expect((await readdir(fixture.storage.path, { recursive: true })).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  test('a second time replaces what was damaged, in the same root', async () => {
    const other = await secondRoot();
    await put(other, 'sealed/s-t01000-7', 'damaged');
    await fixture.start({ storage: [fixture.storage, other] });
    expect(await persisted()).toMatchObject({ storage: 'other' });
    expect((await readFile(join(other.path, 'sealed/s-t01000-7'))).equals(sealed)).toBe(true);
    expect(await readdir(fixture.storage.path)).toEqual([]);
  });

  test('into a named storage and nowhere else, even when another has files of the sector', async () => {
    const other = await secondRoot();
    await put(fixture.storage, 'sealed/s-t01000-7', 'an older one');
    await fixture.start({ storage: [fixture.storage, other] });
    expect(await persisted('other')).toMatchObject({ storage: 'other', root: other.path });
    expect(await readdir(join(other.path, 'cache/s-t01000-7'))).toEqual(['p_aux', 'sector.json']);
    expect(await readFile(join(fixture.storage.path, 'sealed/s-t01000-7'), 'utf8')).toBe('an older one');
    expect(await readdir(fixture.storage.path)).toEqual(['sealed']);
  });

  test.each(['update/s-t01000-7', 'update-cache/s-t01000-7/p_aux', 'cache/s-t01000-7/t_aux'])(
    'without a name beside what the sector has already: %s',
    async (path) => {
      const other = await secondRoot();
      await put(other, path, 'kept');
      // A folder that a failed attempt left, and another sector's files, are no files of this sector.
      await mkdir(join(fixture.storage.path, 'cache/s-t01000-7'), { recursive: true });
      await put(fixture.storage, 'sealed/s-t01000-77', 'of another');
      await fixture.start({ storage: [fixture.storage, other] });
      expect(await persisted()).toMatchObject({ storage: 'other' });
      expect(await readFile(join(other.path, path), 'utf8')).toBe('kept');
    },
  );

  test.skipIf(!canMount)('without a name and without files: where there is most room', async () => {
    const small = await secondRoot();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', small.path]);
    try {
      await fixture.start({ storage: [small, fixture.storage] });
      expect(await persisted()).toMatchObject({ storage: 'main' });
      expect(await readdir(small.path)).toEqual([]);
    } finally {
      execFileSync('umount', [small.path]);
    }
  });

  test('a storage that this runner does not have is told of', async () => {
    await fixture.start();
    await expect(persisted('elsewhere')).rejects.toThrow('--storage elsewhere=PATH');
    expect(await readdir(fixture.storage.path)).toEqual([]);
  });

  test('a folder that is a link out of the storage is not written through', async () => {
    await mkdir(join(fixture.dir, 'outside'));
    await symlink(join(fixture.dir, 'outside'), join(fixture.storage.path, 'sealed'));
    await fixture.start();
    await expect(persisted()).rejects.toThrow('sealed in storage main is a link that leads out of it');
    expect(await readdir(join(fixture.dir, 'outside'))).toEqual([]);
  });

  test('an input with another hash than granted is refused and leaves the storage as it was', async () => {
    await fixture.start();
    await mkdir(join(fixture.storage.path, 'sealed'));
    await writeFile(join(fixture.storage.path, 'sealed/s-t01000-7'), 'as it was');
    const { attempt } = await fixture.plane.grant({
      ...wish(),
      edit: (given) => ({
        ...given,
        inputs: given.inputs.map((input) => (input.name === 'sealed' ? { ...input, hash: hashOf(pAux) } : input)),
      }),
    });
    expect(await fixture.reported(attempt)).toMatchObject({ outcome: 'failed', code: 'input_differs', input: 'sealed' });
    expect(await readFile(join(fixture.storage.path, 'sealed/s-t01000-7'), 'utf8')).toBe('as it was');
    expect(await readdir(join(fixture.storage.path, 'sealed'), { recursive: true })).toEqual(['fetching', 's-t01000-7']);
  });

  test.each(['../escape', '/etc/escape', 'sealed/../../escape', 'sealed/.hidden', 'a\u0000b'])('path %j is refused', async (path) => {
    await fixture.start();
    const { work, ...rest } = wish();
    if (work.kind !== 'persist') throw new Error('the wish is not to persist');
    const { attempt } = await fixture.plane.grant({ ...rest, work: { ...work, files: [{ artifact: 'sealed', path }] } });
    expect(await fixture.reported(attempt)).toMatchObject({ outcome: 'failed', code: 'bad_request' });
  });

  test('storage that went away is told of as storage_full, so that the job waits and no runner is blamed', async () => {
    await fixture.start();
    await rm(fixture.storage.path, { recursive: true });
    const { attempt } = await fixture.plane.grant(wish());
    expect(await fixture.reported(attempt)).toMatchObject({
      outcome: 'failed',
      code: 'storage_full',
      message: expect.stringContaining('mount it'),
    });
  });

  /** With a disk of its own for the storage, mounted with these options. */
  async function onDisk(options: string, body: () => Promise<void>): Promise<void> {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', fixture.storage.path]);
    try {
      await fixture.start();
      await body();
    } finally {
      execFileSync('umount', [fixture.storage.path]);
    }
  }
  const full = { outcome: 'failed', code: 'storage_full', message: expect.stringContaining('free space there') };

  test.skipIf(!canMount)('a disk without room is storage_full before anything is written', async () => {
    // The sealed file has 100,000 bytes.
    await onDisk('size=64k', async () => {
      const { attempt } = await fixture.plane.grant(wish());
      expect(await fixture.reported(attempt)).toMatchObject(full);
      expect(await readdir(fixture.storage.path)).toEqual([]);
    });
  });

  test.skipIf(!canMount)('a disk that fills up under way is storage_full; old files stay as they were, no draft stays', async () => {
    // Root, sealed/, the old file, its draft, cache/: nothing is left for the folder of p_aux.
    await onDisk('nr_inodes=5', async () => {
      await mkdir(join(fixture.storage.path, 'sealed'));
      await writeFile(join(fixture.storage.path, 'sealed/s-t01000-7'), 'as it was');
      const { attempt } = await fixture.plane.grant(wish());
      expect(await fixture.reported(attempt)).toMatchObject(full);
      expect(await readdir(join(fixture.storage.path, 'sealed'), { recursive: true })).toEqual(['fetching', 's-t01000-7']);
      expect(await readFile(join(fixture.storage.path, 'sealed/s-t01000-7'), 'utf8')).toBe('as it was');
    });
  });
});

describe('check of stored files', () => {
  const check = async (storage: string, files: PersistResultType['files']) => {
    const { attempt } = await fixture.plane.grant({ stage: 'Verify', work: { kind: 'check-stored', storage, files } });
    return fixture.reported(attempt);
  };

  test('whole files pass; a flipped bit, a cut, a missing file and an unknown storage do not', async () => {
    await fixture.start();
    const { storage, files } = await persisted();
    expect(await check(storage, files)).toMatchObject({ outcome: 'done', result: { valid: true } });
    const path = join(fixture.storage.path, 'sealed/s-t01000-7');
    const flipped = Buffer.from(sealed);
    flipped.writeUInt8(flipped.readUInt8(5000) ^ 1, 5000);
    const bad = { outcome: 'failed', code: 'input_invalid', input: 'sealed/s-t01000-7' };
    await writeFile(path, flipped);
    expect(await check(storage, files)).toMatchObject({ ...bad, message: expect.stringContaining('has hash') });
    await writeFile(path, sealed.subarray(1));
    expect(await check(storage, files)).toMatchObject({ ...bad, message: expect.stringContaining('99999 bytes') });
    await rm(path);
    expect(await check(storage, files)).toMatchObject({ ...bad, message: expect.stringContaining('is not there') });
    expect(await check('elsewhere', files)).toMatchObject({
      outcome: 'failed',
      message: expect.stringContaining('--storage elsewhere=PATH'),
    });
    // A disk that is not mounted is no damage: nothing is stored again because of it.
    await rm(fixture.storage.path, { recursive: true });
    expect(await check(storage, files)).toMatchObject({ outcome: 'failed', code: 'storage_full' });
  });
});
