/** Persist and the check of stored files, on a real folder. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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

const wish = (): GrantWish => ({
  stage: 'Persist',
  work: {
    kind: 'persist',
    files: [
      { artifact: 'sealed', path: 'sealed/s-t01000-7' },
      { artifact: 'cache/p_aux', path: 'cache/s-t01000-7/p_aux' },
    ],
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { miner: 't01000', number: '7' } },
  },
  inputs: { sealed, 'cache/p_aux': pAux },
});

async function persisted(): Promise<PersistResultType> {
  const { attempt } = await fixture.plane.grant(wish());
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
    const other = { id: 'other', path: join(fixture.dir, 'other') };
    await mkdir(other.path);
    await mkdir(join(other.path, 'sealed'));
    await writeFile(join(other.path, 'sealed/s-t01000-7'), 'damaged');
    await fixture.start({ storage: [fixture.storage, other] });
    expect(await persisted()).toMatchObject({ storage: 'other' });
    expect((await readFile(join(other.path, 'sealed/s-t01000-7'))).equals(sealed)).toBe(true);
    expect(await readdir(fixture.storage.path)).toEqual([]);
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
    expect(await readdir(join(fixture.storage.path, 'sealed'))).toEqual(['s-t01000-7']);
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

  test.skipIf(!canMount)('a disk that fills up is storage_full, and nothing stays', async () => {
    // A disk of 64 KiB; the sealed file has 100,000 bytes.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', fixture.storage.path]);
    try {
      await fixture.start();
      const { attempt } = await fixture.plane.grant(wish());
      expect(await fixture.reported(attempt)).toMatchObject({
        outcome: 'failed',
        code: 'storage_full',
        message: expect.stringContaining('free space there'),
      });
      expect(await readdir(join(fixture.storage.path, 'sealed'))).toEqual([]);
    } finally {
      execFileSync('umount', [fixture.storage.path]);
    }
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
  });
});
