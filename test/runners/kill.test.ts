/** A runner killed while it stores or publishes: afterwards only whole files, none besides, and the next attempt succeeds. */
import { createServer } from 'node:http';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { Daemon } from '../e2e/processes.ts';
import { bytesOf } from '../objects/conformance.ts';
import { STAGE_PROGRAM, eventually, isRunning, useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';

const fixture = useAgent();
const daemons: Daemon[] = [];
// Registered after the fixture's, so it runs before that one: its folders go last.
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.end('SIGTERM');
});
const KILL_AT = join(import.meta.dirname, 'kill-at.mjs');
const PATHS = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux' } as const;
const JSON_PATH = 'cache/s-t01000-7/sector.json';
const fresh = { sealed: bytesOf('new sealed', 150_000), 'cache/p_aux': bytesOf('new p_aux', 64) };

/** `sealpool runner` as a process of its own on the fixture's folders. */
async function runner(env: Record<string, string> = {}): Promise<Daemon> {
  await mkdir(fixture.dataDir, { recursive: true });
  const tokenFile = join(fixture.dir, 'join.token');
  await writeFile(tokenFile, fixture.plane.newToken());
  const daemon = new Daemon(
    ['runner', '--data', fixture.dataDir, '--url', fixture.plane.url, '--join-token-file', tokenFile],
    {
      SEALPOOL_PROVER: STAGE_PROGRAM,
      SEALPOOL_RUNNER_STORAGE: `[{ id = "main", path = ${JSON.stringify(fixture.storage.path)} }]`,
      ...env,
    },
    join(fixture.dir, 'runner.log'),
  );
  daemons.push(daemon);
  await daemon.start();
  return daemon;
}

/** Every file in the storage by its path. */
async function stored(): Promise<Record<string, string>> {
  const entries = await readdir(fixture.storage.path, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(paths.sort().map(async (path) => [path.slice(fixture.storage.path.length + 1), await readFile(path, 'latin1')])),
  );
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(fixture.storage.path, path)), { recursive: true });
  await writeFile(join(fixture.storage.path, path), content, 'latin1');
}

const persist: GrantWish = {
  stage: 'Persist',
  work: {
    kind: 'persist',
    storage: 'main',
    files: Object.entries(PATHS).map(([artifact, path]) => ({ artifact, path })),
    sectorJson: { path: JSON_PATH, content: { version: 2 } },
  },
  inputs: fresh,
};
const after: Record<string, string> = {
  [PATHS.sealed]: fresh.sealed.toString('latin1'),
  [PATHS['cache/p_aux']]: fresh['cache/p_aux'].toString('latin1'),
  [JSON_PATH]: '{\n  "version": 2\n}\n',
};
const before: Record<string, string> = { [PATHS.sealed]: 'old sealed', [PATHS['cache/p_aux']]: 'old p_aux', [JSON_PATH]: '{"version":1}' };

// The second rename is that of the sector's whole folder, which fails where there is one.
test.each([
  ['while it writes the first file', 'open:1', 0],
  ['while it writes the last file', 'open:3', 0],
  ['before the first file takes its place', 'rename:1', 0],
  ['before the second file takes its place', 'rename:3', 1],
  ['before sector.json takes its place', 'rename:4', 2],
])('persist, killed %s', { timeout: 60_000 }, async (_name, at, replaced) => {
  for (const [path, content] of Object.entries(before)) await put(path, content);
  const killed = await runner({ NODE_OPTIONS: `--import ${KILL_AT}`, KILL_AT: at, KILL_IN: fixture.storage.path });
  await fixture.plane.grant(persist);
  await eventually(() => isRunning(killed.pid as number)).toBe(false);
  expect(await killed.end('SIGKILL')).toBe('SIGKILL');
  expect(Object.keys(await stored()).some((path) => path.includes('.tmp'))).toBe(true);

  await runner();
  // Whole files only, and sector.json is the last to tell of the new ones.
  const order = [PATHS.sealed, PATHS['cache/p_aux'], JSON_PATH];
  expect(await stored()).toEqual(Object.fromEntries(order.map((path, n) => [path, (n < replaced ? after : before)[path]])));
  const { attempt } = await fixture.plane.grant(persist);
  expect(await fixture.reported(attempt)).toMatchObject({ outcome: 'done' });
  expect(await stored()).toEqual(after);
});

test('publish, killed while it sends', { timeout: 60_000 }, async () => {
  for (const [path, content] of Object.entries(after)) await put(path, content);
  let asked = 0;
  const silent = createServer((request) => {
    asked++;
    request.resume();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    silent.close();
    silent.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const wish: GrantWish = {
    stage: 'Publish',
    work: { kind: 'publish', storage: 'main', files: Object.entries(PATHS).map(([artifact, path]) => ({ artifact, path, hash: null })) },
    outputs: { sealed: 200_000, 'cache/p_aux': 100 },
  };
  const killed = await runner();
  await fixture.plane.grant({
    ...wish,
    edit: (grant) => ({ ...grant, outputs: grant.outputs.map((slot) => ({ ...slot, partUrls: slot.partUrls.map(() => url) })) }),
  });
  await eventually(() => asked).toBe(3);
  expect(await killed.end('SIGKILL')).toBe('SIGKILL');

  await runner();
  expect(await readdir(join(fixture.dataDir, 'work'))).toEqual([]);
  const { attempt } = await fixture.plane.grant(wish);
  const report = await fixture.reported(attempt);
  expect((await fixture.plane.output(report, 'sealed')).equals(fresh.sealed)).toBe(true);
  expect(await stored()).toEqual(after);
});
