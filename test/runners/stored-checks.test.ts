/** Stored files read against their hashes by a real runner, no faster than told. */
import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { StoredCheckAnswer } from '../../src/schema/stored-check.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { bytesOf } from '../objects/conformance.ts';
import { eventually, useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const FILES = {
  'sealed/s-t01000-7': bytesOf('sealed', 3_000_000),
  'cache/s-t01000-7/p_aux': bytesOf('p_aux', 64),
  'cache/s-t01000-7/t_aux': bytesOf('t_aux', 235),
};
const files = Object.entries(FILES).map(([path, bytes]) => ({
  path,
  sizeBytes: String(bytes.length),
  hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
}));
const at = (path: string): string => join(fixture.storage.path, path);

async function fill(): Promise<void> {
  for (const [path, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(at(path)), { recursive: true });
    await writeFile(at(path), bytes);
  }
}

/** Asks for one check; answers what came of it. */
async function checked(bytesPerS = 1e12): Promise<StoredCheckAnswer | undefined> {
  const before = fixture.plane.checked.length;
  fixture.plane.checks.push({ storage: 'main', miner: MinerId.parse('t01000'), number: 7, files, bytesPerS });
  fixture.plane.wake();
  await eventually(() => fixture.plane.checked.length).toBeGreaterThan(before);
  return fixture.plane.checked.at(-1);
}

test('whole files pass; each that is flipped, cut or missing is told with how; a storage that is away says nothing', async () => {
  await fill();
  await fixture.start();
  const about = { storage: 'main', miner: 't01000', number: 7 };
  expect(await checked()).toEqual({ ...about, outcome: 'checked', bad: [] });
  const flipped = Buffer.from(FILES['sealed/s-t01000-7']);
  flipped.writeUInt8(flipped.readUInt8(2_999_999) ^ 1, 2_999_999);
  await writeFile(at('sealed/s-t01000-7'), flipped);
  await writeFile(at('cache/s-t01000-7/p_aux'), 'cut');
  await rm(at('cache/s-t01000-7/t_aux'));
  expect(await checked()).toEqual({
    ...about,
    outcome: 'checked',
    bad: [
      { path: 'sealed/s-t01000-7', how: expect.stringMatching(/^it has hash sha256:\w+ and not sha256:\w+$/) },
      { path: 'cache/s-t01000-7/p_aux', how: 'it has 3 bytes and not 64' },
      { path: 'cache/s-t01000-7/t_aux', how: 'it is not there' },
    ],
  });
  await rename(fixture.storage.path, join(fixture.dir, 'away'));
  expect(await checked()).toEqual({ ...about, outcome: 'away', bad: [] });
});

test('it reads no faster than it was told', async () => {
  await fill();
  await fixture.start();
  const startedMs = performance.now();
  expect(await checked(3_000_000)).toMatchObject({ outcome: 'checked', bad: [] });
  expect(performance.now() - startedMs).toBeGreaterThan(900);
});
