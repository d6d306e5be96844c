/** Publish: stored files into object storage, read where they are. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../src/schema/runner.ts';
import { bytesOf } from '../objects/conformance.ts';
import { useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';

const fixture = useAgent();
/** Four parts of the test's object store, the last one short. */
const sealed = bytesOf('sealed', 200_001);
const pAux = bytesOf('p_aux', 64);
const hashOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const PATHS = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux' } as const;
const at = (path: string): string => join(fixture.storage.path, path);

async function put(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), bytes);
}

async function stored(): Promise<void> {
  await put(PATHS.sealed, sealed);
  await put(PATHS['cache/p_aux'], pAux);
}

function wish(hashes: { sealed: string | null; pAux: string | null }, more: Partial<GrantWish> = {}): GrantWish {
  return {
    stage: 'Publish',
    work: {
      kind: 'publish',
      storage: 'main',
      files: [
        { artifact: 'sealed', path: PATHS.sealed, hash: hashes.sealed },
        { artifact: 'cache/p_aux', path: PATHS['cache/p_aux'], hash: hashes.pAux },
      ],
    },
    outputs: { sealed: 300_000, 'cache/p_aux': 1000 },
    ...more,
  };
}
const KNOWN = { sealed: hashOf(sealed), pAux: hashOf(pAux) };

async function published(given: GrantWish): Promise<Report> {
  const { attempt } = await fixture.plane.grant(given);
  return fixture.reported(attempt);
}

const damaged = (path: string, how: string) => ({
  outcome: 'failed',
  code: 'input_invalid',
  input: path,
  message: expect.stringMatching(new RegExp(`stored file ${path} in storage main ${how}.*; .*(put|check|rebuild)`)),
});

describe('files that are as they were stored', () => {
  test('come out as outputs, byte for byte, and stay where they are', async () => {
    await stored();
    await fixture.start();
    const report = await published(wish(KNOWN));
    expect(report).toMatchObject({
      outcome: 'done',
      result: {},
      outputs: [
        { name: 'sealed', sizeBytes: '200001', hash: KNOWN.sealed, parts: [1, 2, 3, 4].map((number) => ({ number })) },
        { name: 'cache/p_aux', sizeBytes: '64', hash: KNOWN.pAux },
      ],
    });
    expect((await fixture.plane.output(report, 'sealed')).equals(sealed)).toBe(true);
    expect((await fixture.plane.output(report, 'cache/p_aux')).equals(pAux)).toBe(true);
    expect((await readFile(at(PATHS.sealed))).equals(sealed)).toBe(true);
    expect((await readdir(fixture.storage.path, { recursive: true })).sort()).toEqual([
      'cache',
      'cache/s-t01000-7',
      'cache/s-t01000-7/p_aux',
      'sealed',
      'sealed/s-t01000-7',
    ]);
  });

  test('without a known hash what was read is reported; empty files too', async () => {
    await put(PATHS.sealed, sealed);
    await put(PATHS['cache/p_aux'], Buffer.alloc(0));
    await fixture.start();
    const report = await published(wish({ sealed: null, pAux: null }));
    expect(report).toMatchObject({
      outcome: 'done',
      outputs: [
        { hash: KNOWN.sealed, sizeBytes: '200001' },
        { hash: hashOf(Buffer.alloc(0)), sizeBytes: '0' },
      ],
    });
    expect(await fixture.plane.output(report, 'cache/p_aux')).toHaveLength(0);
  });

  test('a link that stays inside the storage is followed', async () => {
    await put('sealed/moved', sealed);
    await put(PATHS['cache/p_aux'], pAux);
    await symlink('moved', at(PATHS.sealed));
    await fixture.start();
    expect(await published(wish(KNOWN))).toMatchObject({ outcome: 'done' });
  });
});

describe('files that are not', () => {
  test('a missing one, one with a flipped bit, a shorter one, one that is too large: each named, with what to do', async () => {
    await stored();
    await fixture.start();
    await rm(at(PATHS['cache/p_aux']));
    expect(await published(wish(KNOWN))).toMatchObject(damaged(PATHS['cache/p_aux'], 'is not there'));
    await put(PATHS['cache/p_aux'], pAux);
    const flipped = Buffer.from(sealed);
    flipped.writeUInt8(flipped.readUInt8(150_000) ^ 1, 150_000);
    await put(PATHS.sealed, flipped);
    expect(await published(wish(KNOWN))).toMatchObject(damaged(PATHS.sealed, 'has hash sha256:.* and was stored with'));
    await put(PATHS.sealed, sealed.subarray(1));
    expect(await published(wish(KNOWN))).toMatchObject(damaged(PATHS.sealed, 'has hash'));
    await put(PATHS.sealed, bytesOf('large', 300_001));
    expect(await published(wish({ sealed: null, pAux: null }))).toMatchObject(
      damaged(PATHS.sealed, 'has 300001 bytes and can have 300000'),
    );
    await put(PATHS.sealed, sealed);
    expect(await published(wish(KNOWN))).toMatchObject({ outcome: 'done' });
  });

  test.each([
    ['a link to a file outside', async () => symlink('/etc/hostname', at(PATHS.sealed)), 'is reached by a link that leads out'],
    ['a link to a folder outside', async () => replaceFolder(), 'is reached by a link that leads out'],
    ['a folder', async () => mkdir(at(PATHS.sealed)), 'is no plain file'],
    ['a pipe', async () => execFileSync('mkfifo', [at(PATHS.sealed)]), 'is no plain file'],
    ['a link to itself', async () => symlink(at(PATHS.sealed), at(PATHS.sealed)), 'cannot be read'],
  ])('%s is not sent', async (_name, make, how) => {
    await stored();
    await rm(at(PATHS.sealed));
    await make();
    await fixture.start();
    expect(await published(wish({ sealed: null, pAux: null }))).toMatchObject(damaged(PATHS.sealed, how));
  });

  async function replaceFolder(): Promise<void> {
    const outside = join(fixture.dir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 's-t01000-7'), sealed);
    await rm(at('sealed'), { recursive: true });
    await symlink(outside, at('sealed'));
  }

  test.each(['../escape', '/etc/hostname', 'sealed/../../escape'])('path %j is refused', async (path) => {
    await fixture.start();
    const work: GrantWish['work'] = { kind: 'publish', storage: 'main', files: [{ artifact: 'sealed', path, hash: null }] };
    expect(await published({ stage: 'Publish', work, outputs: { sealed: 100 } })).toMatchObject({ outcome: 'failed', code: 'bad_request' });
  });
});

test.each(['publish', 'check-stored'] as const)('an empty mount point is no damage: %s waits for its disk', async (kind) => {
  await stored();
  await put('sectorstore.json', Buffer.from(JSON.stringify({ ID: 'disk-1', Weight: 10, CanSeal: false, CanStore: true, MaxStorage: 0 })));
  await fixture.start();
  const files = [{ path: PATHS.sealed, sizeBytes: '200001', hash: KNOWN.sealed }];
  const given: GrantWish = kind === 'publish' ? wish(KNOWN) : { stage: 'Verify', work: { kind, storage: 'main', files } };
  expect(await published(given)).toMatchObject({ outcome: 'done' });
  await rename(fixture.storage.path, `${fixture.storage.path}.away`);
  await mkdir(fixture.storage.path);
  expect(await published(given)).toMatchObject({
    outcome: 'failed',
    code: 'storage_full',
    message: expect.stringMatching(/^storage main: .* has no sectorstore.json any more; mount its disk/),
  });
});

test('a path that only takes nothing new is read', async () => {
  await stored();
  await put('sectorstore.json', Buffer.from(JSON.stringify({ ID: 'disk-1', Weight: 10, CanSeal: true, CanStore: false, MaxStorage: 0 })));
  await fixture.start();
  expect(await published(wish(KNOWN))).toMatchObject({ outcome: 'done' });
});

describe('a grant that does not fit', () => {
  test.each([
    ['a file without a slot', { sealed: 300_000 }],
    ['a slot without a file', { sealed: 300_000, 'cache/p_aux': 1000, 'cache/t_aux': 1000 }],
    ['another name', { sealed: 300_000, 'cache/t_aux': 1000 }],
  ])('%s is refused', async (_name, outputs) => {
    await stored();
    await fixture.start();
    expect(await published(wish(KNOWN, { outputs }))).toMatchObject({ outcome: 'failed', code: 'bad_request' });
  });

  test('of two roots the named one is read; a foreign one and one that is not mounted are told of', async () => {
    const other = { id: 'other', path: join(fixture.dir, 'other') };
    await mkdir(join(other.path, 'sealed'), { recursive: true });
    await writeFile(join(other.path, PATHS.sealed), 'another');
    await stored();
    await fixture.start({ storage: [other, fixture.storage] });
    expect(await published(wish(KNOWN))).toMatchObject({ outcome: 'done' });
    const from = (storage: string): GrantWish => wish(KNOWN, { work: { ...wish(KNOWN).work, storage } as GrantWish['work'] });
    expect(await published(from('elsewhere'))).toMatchObject({
      outcome: 'failed',
      code: 'internal',
      message: expect.stringContaining('--storage elsewhere=PATH'),
    });
    await rm(other.path, { recursive: true });
    expect(await published(from('other'))).toMatchObject({
      outcome: 'failed',
      code: 'storage_full',
      message: expect.stringContaining('mount it'),
    });
  });
});
